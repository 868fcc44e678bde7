`default_nettype none
// Gearbox from scratchpad words to DRAM beats. The bytes of a word go to their places in a round buffer; beats lie there in order.
//
// A beat is on the channel two cycles after its last word was accepted, and not before its burst was presented; one word and one
// beat a cycle. After `stopped`, the bursts that were presented are filled up with beats that write nothing.
module sf_pack #(
    parameter int LANES = 8,
    parameter int DRAM_BYTES = 8
) (
    input wire logic clk,
    input wire logic rst,
    input wire logic stopped,

    input wire logic        start,
    // verilator lint_off UNUSEDSIGNAL
    input wire logic [11:0] start_address,  // of the first byte, in its 4 KiB; 256 beats may be less
    // verilator lint_on UNUSEDSIGNAL
    input wire logic [29:0] start_beats,
    input wire logic        presents,  // a further burst may have its data

    input  wire logic                       word_valid,
    output logic                            word_ready,
    input  wire logic [LANES-1:0][7:0]      word,
    input  wire logic [$clog2(LANES+1)-1:0] word_size,
    input  wire logic                       word_is_last,

    output logic                       w_valid,
    input  wire logic                  w_ready,
    output logic [DRAM_BYTES-1:0][7:0] w_data,
    output logic [DRAM_BYTES-1:0]      w_strobe,
    output logic                       w_last
);
  // As in sf_unpack.
  localparam int WIDER = LANES > DRAM_BYTES ? LANES : DRAM_BYTES;
  localparam int BUFFER = LANES == DRAM_BYTES ? 4 * LANES : 2 * WIDER;
  localparam int BUFFER_BITS = $clog2(BUFFER);
  localparam int BEAT_BITS = $clog2(DRAM_BYTES);
  localparam int LANE_BITS = $clog2(LANES);
  localparam int CHUNK_BITS = BEAT_BITS < 4 ? 8 : 12 - BEAT_BITS;  // beats between the cuts of sf_bursts
  localparam int BURST_BITS = $clog2(sf_dma_pkg::BURSTS + 1);

  logic [BUFFER-1:0][7:0] buffer;
  logic [BUFFER_BITS-1:0] place;  // of the next word's first byte
  logic [BUFFER_BITS-BEAT_BITS-1:0] beat;  // that leaves next
  logic [BUFFER_BITS:0] held;  // bytes from the start of that beat to the last one that came
  logic [BEAT_BITS-1:0] skipped;  // bytes of that beat in front of the first one
  logic all_came;

  // Words go in, each byte to the lane that it has in the buffer's blocks of LANES bytes.
  logic [BUFFER_BITS-LANE_BITS-1:0] block;
  logic [LANE_BITS-1:0] shift;
  logic [LANES-1:0][7:0] turned;
  logic [LANES-1:0] in_block, in_next_block;
  logic word_accepted;
  assign {block, shift} = place;
  assign word_ready = held + (BUFFER_BITS + 1)'(word_size) <= (BUFFER_BITS + 1)'(BUFFER) && !all_came;
  assign word_accepted = word_valid && word_ready;
  always_comb begin
    logic [2*LANES-1:0] lanes;
    turned = (word << {shift, 3'b0}) | (word >> ((LANE_BITS + 4)'(LANES * 8) - {1'b0, shift, 3'b0}));
    lanes = '0;
    for (int lane = 0; lane < LANES; lane++) lanes[lane] = ($clog2(LANES + 1))'(lane) < word_size;
    {in_next_block, in_block} = lanes << shift;
  end

  // Beats go out.
  logic [29:0] beats_left;
  logic [CHUNK_BITS-1:0] chunk_beat;
  logic [BURST_BITS-1:0] bursts_open;
  logic full, leaves, ends_burst;
  assign full = held >= (BUFFER_BITS + 1)'(DRAM_BYTES) || all_came;
  assign leaves = (full || stopped) && beats_left != '0 && bursts_open != '0 && (!w_valid || w_ready);
  assign ends_burst = chunk_beat == '1 || beats_left == 1;

  always_ff @(posedge clk) begin
    if (word_accepted) begin
      for (int b = 0; b < BUFFER / LANES; b++) begin
        for (int lane = 0; lane < LANES; lane++) begin
          if ((block == (BUFFER_BITS - LANE_BITS)'(b) && in_block[lane]) ||
              ((BUFFER_BITS - LANE_BITS)'(block + 1'b1) == (BUFFER_BITS - LANE_BITS)'(b) && in_next_block[lane])) begin
            buffer[b*LANES+lane] <= turned[lane];
          end
        end
      end
      place <= place + BUFFER_BITS'(word_size);
      if (word_is_last) all_came <= 1'b1;
    end
    held <= held + (word_accepted ? (BUFFER_BITS + 1)'(word_size) : '0) - (leaves ? (BUFFER_BITS + 1)'(DRAM_BYTES) : '0);

    if (w_ready) w_valid <= 1'b0;
    if (leaves) begin
      w_valid <= 1'b1;
      w_last <= ends_burst;
      w_data <= buffer[beat*DRAM_BYTES+:DRAM_BYTES];
      for (int lane = 0; lane < DRAM_BYTES; lane++) begin
        w_strobe[lane] <= !stopped && BEAT_BITS'(lane) >= skipped && (BUFFER_BITS + 1)'(lane) < held;
      end
      beat <= beat + 1'b1;
      skipped <= '0;
      beats_left <= beats_left - 1'b1;
      chunk_beat <= chunk_beat + 1'b1;
    end
    bursts_open <= bursts_open + BURST_BITS'(presents) - BURST_BITS'(leaves && ends_burst);

    if (start) begin
      place <= BUFFER_BITS'(start_address[BEAT_BITS-1:0]);
      held <= (BUFFER_BITS + 1)'(start_address[BEAT_BITS-1:0]);
      beat <= '0;
      skipped <= start_address[BEAT_BITS-1:0];
      beats_left <= start_beats;
      chunk_beat <= start_address[BEAT_BITS+:CHUNK_BITS];
      all_came <= 1'b0;
    end
    if (rst) begin
      w_valid <= 1'b0;
      beats_left <= '0;
      bursts_open <= '0;
    end
  end
endmodule
`default_nettype wire
