`default_nettype none
// Gearbox from DRAM beats to scratchpad words. Beats lie at their places in a round buffer; a word is cut out of it anywhere.
//
// A word is on the output two cycles after the last beat that it needs; one word and one beat a cycle.
module sf_unpack #(
    parameter int LANES = 8,
    parameter int DRAM_BYTES = 8,
    parameter int POSITION_BITS = 36
) (
    input wire logic clk,
    input wire logic rst,
    input wire logic start,
    input wire logic stopped,

    input  wire logic                          beat_valid,
    output logic                               beat_ready,
    input  wire logic [DRAM_BYTES-1:0][7:0]    beat,

    // From sf_window; `more` says that it has more words to come.
    input  wire logic                                  more,
    input  wire logic                                  window_valid,
    output logic                                       window_step,
    input  wire logic        [                   19:0] window_address,
    input  wire logic                                  window_out_of_range,
    input  wire logic        [$clog2(LANES+1)-1:0]     size,
    input  wire logic        [$clog2(LANES+1)-1:0]     low,
    input  wire logic        [$clog2(LANES+1)-1:0]     high,
    input  wire logic        [                    7:0] zero,
    input  wire logic signed [      POSITION_BITS-1:0] position,
    input  wire logic signed [      POSITION_BITS-1:0] until_end,
    input  wire logic signed [      POSITION_BITS-1:0] row_end,

    output logic                   l_valid,
    input  wire logic              l_ready,
    output logic [19:0]            l_address,
    output logic [LANES-1:0][7:0]  l_data
);
  // Twice the wider side keeps both at full rate; where both are alike, an unaligned word and the next beat need more.
  localparam int WIDER = LANES > DRAM_BYTES ? LANES : DRAM_BYTES;
  localparam int BUFFER = LANES == DRAM_BYTES ? 4 * LANES : 2 * WIDER;
  localparam int BUFFER_BITS = $clog2(BUFFER);
  localparam int BEAT_BITS = $clog2(DRAM_BYTES);
  localparam int LANE_BITS = $clog2(LANES);
  localparam int SIZE_BITS = $clog2(LANES + 1);
  localparam int BEATS = BUFFER / DRAM_BYTES;
  typedef logic signed [POSITION_BITS-1:0] position_t;

  // Beats go in, unless one would overwrite bytes that the present word or a later one needs.
  position_t arrived;  // position behind the last beat
  position_t reusable;  // the bytes of the place of the next beat lie in front of this position
  logic [BUFFER*8-1:0] buffer;
  logic beat_accepted;
  assign beat_ready = stopped || (window_valid ? reusable <= position && reusable <= row_end : !more);
  assign beat_accepted = beat_valid && beat_ready;
  always_ff @(posedge clk) begin
    if (beat_accepted) begin
      for (int place = 0; place < BEATS; place++) begin
        if (arrived[BUFFER_BITS-1:BEAT_BITS] == (BUFFER_BITS - BEAT_BITS)'(place)) begin
          buffer[place*DRAM_BYTES*8+:DRAM_BYTES*8] <= beat;
        end
      end
      arrived  <= arrived + position_t'(DRAM_BYTES);
      reusable <= reusable + position_t'(DRAM_BYTES);
    end
    if (start) begin
      arrived  <= '0;
      reusable <= position_t'(DRAM_BYTES) - position_t'(BUFFER);
    end
  end

  // Words come out.
  logic [BUFFER_BITS-LANE_BITS-1:0] block;
  logic [LANES*8-1:0] cut;
  logic complete;
  assign block = position[BUFFER_BITS-1:LANE_BITS];
  always_comb begin
    logic [2*LANES*8-1:0] pair;
    pair = {buffer[(BUFFER_BITS-LANE_BITS)'(block+1'b1)*LANES*8+:LANES*8], buffer[block*LANES*8+:LANES*8]};
    cut  = (LANES * 8)'(pair >> {position[LANE_BITS-1:0], 3'b0});
  end
  assign complete = arrived >= until_end || arrived >= row_end;
  assign window_step = window_valid && complete && (!l_valid || l_ready) && !stopped;
  always_ff @(posedge clk) begin
    if (l_ready || stopped) l_valid <= 1'b0;
    if (window_step) begin
      l_valid   <= !window_out_of_range;
      l_address <= window_address;
      for (int lane = 0; lane < LANES; lane++) begin
        if (SIZE_BITS'(lane) >= size) l_data[lane] <= '0;
        else if (SIZE_BITS'(lane) < low || SIZE_BITS'(lane) >= high) l_data[lane] <= zero;
        else l_data[lane] <= cut[lane*8+:8];
      end
    end
    if (rst) l_valid <= 1'b0;
  end
endmodule
`default_nettype wire
