`default_nettype none
// Adds to each scratchpad word of a LOAD which bytes of the DRAM stream it holds, a cycle behind the walk.
//
// Positions count bytes of the stream from the start of its first beat. Lane i of a word holds byte `position` + i if
// low <= i < high, `zero` if not but i < size, and else 0. When folding, windows overlap, and reach over both ends of a row.
module sf_window #(
    parameter int LANES = 8,
    parameter int POSITION_BITS = 36  // signed: a window may begin in front of the stream
) (
    input wire logic clk,
    input wire logic rst,
    input wire logic start,
    // verilator lint_off UNUSEDSIGNAL
    input wire sf_dma_pkg::sf_transfer_t transfer,  // each part of an engine uses some of it
    // verilator lint_on UNUSEDSIGNAL
    input wire logic [6:0] start_byte,  // of the first beat

    input  wire logic                           walk_valid,
    output logic                                walk_step,
    input  wire logic [                   19:0] walk_address,
    input  wire logic                           walk_out_of_range,
    input  wire logic [$clog2(LANES+1)-1:0] walk_size,
    input  wire logic                           walk_ends_row,

    input  wire logic                             step,
    output logic                                  valid,
    output logic      [                     19:0] address,
    output logic                                  out_of_range,
    output logic      [$clog2(LANES+1)-1:0]       size,
    output logic      [$clog2(LANES+1)-1:0]       low,
    output logic      [$clog2(LANES+1)-1:0]       high,
    output logic      [                      7:0] zero,
    output logic signed [POSITION_BITS-1:0]       position,
    output logic signed [POSITION_BITS-1:0]       until_end,  // behind the last byte of the word, unless likewise
    output logic signed [POSITION_BITS-1:0]       row_end
);
  localparam int SIZE_BITS = $clog2(LANES + 1);
  typedef logic signed [POSITION_BITS-1:0] position_t;

  function automatic logic [SIZE_BITS-1:0] clamp(input position_t value, input logic [SIZE_BITS-1:0] most);
    if (value < 0) return '0;
    return value > position_t'(most) ? most : value[SIZE_BITS-1:0];
  endfunction

  position_t at, at_row, at_row_end;  // of the walk's word
  logic [32:0] row_bytes;
  logic [13:0] pad_bytes, stride_bytes;
  logic folds;

  assign walk_step = walk_valid && (!valid || step);

  always_ff @(posedge clk) begin
    if (start) begin
      at <= position_t'(start_byte) - (transfer.folds ? position_t'(transfer.pad_bytes) : '0);
      at_row <= position_t'(start_byte);
      at_row_end <= position_t'(start_byte) + position_t'(transfer.row_bytes);
      row_bytes <= transfer.row_bytes;
      pad_bytes <= transfer.folds ? transfer.pad_bytes : '0;
      stride_bytes <= transfer.stride_bytes;
      folds <= transfer.folds;
      zero <= transfer.zero;
    end else if (walk_step) begin
      at <= at + (folds ? position_t'(stride_bytes) : position_t'(walk_size));
      if (walk_ends_row) begin
        at <= at_row_end - position_t'(pad_bytes);
        at_row <= at_row_end;
        at_row_end <= at_row_end + position_t'(row_bytes);
      end
    end

    if (walk_step) begin
      valid <= 1'b1;
      address <= walk_address;
      out_of_range <= walk_out_of_range;
      size <= walk_size;
      low <= clamp(at_row - at, walk_size);
      high <= clamp(at_row_end - at, walk_size);
      position <= at;
      until_end <= at + position_t'(walk_size);
      row_end <= at_row_end;
    end else if (step) begin
      valid <= 1'b0;
    end
    if (rst) valid <= 1'b0;
  end
endmodule
`default_nettype wire
