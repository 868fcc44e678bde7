`default_nettype none
// Splits a range of beats into AXI4 INCR bursts, at multiples of 4 KiB and of 256 beats, as AXI asks.
//
// The first burst is on the channel in the cycle behind `start`, the next ones as fast as they are accepted; `presents` is high in
// the cycle before each. A burst is outstanding until `completes` counts it; at most BURSTS are. `stop` lets no further one
// come. `done`: all bursts have been and are complete; `quiet`: those that have been are.
module sf_bursts #(
    parameter int DRAM_BYTES = 8
) (
    input wire logic clk,
    input wire logic rst,

    input wire logic        start,
    // verilator lint_off UNUSEDSIGNAL
    input wire logic [63:0] start_address,  // of any byte of the first beat
    // verilator lint_on UNUSEDSIGNAL
    input wire logic [29:0] start_beats,
    input wire logic        stop,

    output logic             valid,
    input  wire logic        ready,
    output logic      [63:0] address,
    output logic      [ 7:0] length,

    output logic      presents,
    input  wire logic completes,
    output logic      done,
    output logic      quiet
);
  localparam int BEAT_BITS = $clog2(DRAM_BYTES);
  localparam int CHUNK_BITS = BEAT_BITS < 4 ? 8 : 12 - BEAT_BITS;  // beats between two cuts
  localparam int COUNT_BITS = $clog2(sf_dma_pkg::BURSTS + 1);

  logic [63:BEAT_BITS] next_beat;
  logic [29:0] beats_left;
  logic [COUNT_BITS-1:0] outstanding;

  // What would be presented now.
  logic [63:BEAT_BITS] from;
  logic [29:0] wanted;
  logic [CHUNK_BITS:0] room, taken;
  assign from = start ? start_address[63:BEAT_BITS] : next_beat;
  assign wanted = start ? start_beats : beats_left;
  assign room = (CHUNK_BITS + 1)'(1 << CHUNK_BITS) - {1'b0, from[BEAT_BITS+:CHUNK_BITS]};
  assign taken = wanted < 30'(room) ? wanted[CHUNK_BITS:0] : room;
  assign presents = !stop && (start || ((!valid || ready) && beats_left != '0 && outstanding < COUNT_BITS'(sf_dma_pkg::BURSTS)));

  assign quiet = outstanding == '0;
  assign done = quiet && beats_left == '0;

  always_ff @(posedge clk) begin
    if (valid && ready) valid <= 1'b0;
    if (presents) begin
      valid <= 1'b1;
      address <= {from, BEAT_BITS'(0)};
      length <= 8'(taken - 1'b1);
      next_beat <= from + (64 - BEAT_BITS)'(taken);
      beats_left <= wanted - 30'(taken);
    end
    outstanding <= outstanding + COUNT_BITS'(presents) - COUNT_BITS'(completes);
    if (rst) begin
      valid <= 1'b0;
      beats_left <= '0;
      outstanding <= '0;
    end
  end
endmodule
`default_nettype wire
