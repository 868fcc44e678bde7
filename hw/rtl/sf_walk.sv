`default_nettype none
// Walks through the scratchpad words of a transfer: the words of a pixel's channels, the pixels of a row, the rows round the ring.
//
// The first word is there in the cycle behind `start`; `step` goes on to the next. `size` is how many bytes of the word belong to
// the transfer. An address of 2^20 or more sets `out_of_range`; a transfer does not outlive it.
module sf_walk #(
    parameter int LANES = 8
) (
    input wire logic clk,
    input wire logic rst,
    input wire logic start,
    // verilator lint_off UNUSEDSIGNAL
    input wire sf_dma_pkg::sf_transfer_t transfer,  // each part of an engine uses some of it
    // verilator lint_on UNUSEDSIGNAL
    input wire logic step,

    output logic                         valid,
    output logic [                 19:0] address,
    output logic                         out_of_range,
    output logic [$clog2(LANES+1)-1:0] size,
    output logic                         ends_row,
    output logic                         ends_all
);
  localparam int SIZE_BITS = $clog2(LANES + 1);

  logic [20:0] word_address, pixel_address, next_pixel;
  logic [19:0] channels, bytes_left, base;
  logic [15:0] width, pixels_left, ring, rows_to_wrap, rows_left;
  logic [11:0] pixel_words;
  logic ends_pixel, wraps;

  assign address = word_address[19:0];
  assign out_of_range = word_address[20];
  assign ends_pixel = bytes_left <= 20'(LANES);
  assign size = ends_pixel ? bytes_left[SIZE_BITS-1:0] : SIZE_BITS'(LANES);
  assign ends_row = ends_pixel && pixels_left == 1;
  assign ends_all = ends_row && rows_left == 1;
  assign wraps = pixels_left == 1 && rows_to_wrap == 1;

  assign next_pixel = wraps ? {1'b0, base} : pixel_address + 21'(pixel_words);

  always_ff @(posedge clk) begin
    if (start) begin
      valid <= 1'b1;
      word_address <= {1'b0, transfer.word};
      pixel_address <= {1'b0, transfer.word};
      channels <= transfer.channels;
      bytes_left <= transfer.channels;
      width <= transfer.width;
      pixels_left <= transfer.width;
      base <= transfer.base;
      ring <= transfer.ring;
      rows_to_wrap <= transfer.rows_to_wrap;
      rows_left <= transfer.rows;
      pixel_words <= transfer.pixel_words;
    end else if (step) begin
      if (!ends_pixel) begin
        word_address <= word_address + 1'b1;
        bytes_left <= bytes_left - 20'(LANES);
      end else begin
        word_address <= next_pixel;
        pixel_address <= next_pixel;
        bytes_left <= channels;
        pixels_left <= pixels_left - 1'b1;
        if (pixels_left == 1) begin
          pixels_left <= width;
          rows_left <= rows_left - 1'b1;
          rows_to_wrap <= rows_to_wrap == 1 ? ring : rows_to_wrap - 1'b1;
          if (rows_left == 1) valid <= 1'b0;
        end
      end
    end
    if (rst) valid <= 1'b0;
  end
endmodule
`default_nettype wire
