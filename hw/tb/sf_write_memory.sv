// A memory at the end of an AXI4 write channel, and a judge of it. Writes to a file what each beat stores where.
`default_nettype none
module sf_write_memory #(
    parameter int DRAM_BYTES = 8
) (
    input wire logic        clk,
    input wire logic        rst,
    input wire integer      results,
    input wire integer      stall,
    input wire integer      latency,
    input wire logic [63:0] error_low,
    input wire logic [63:0] error_high,
    input wire logic        patient,

    input  wire logic        aw_valid,
    output logic             aw_ready,
    input  wire logic [63:0] aw_address,
    input  wire logic [ 7:0] aw_length,

    input  wire logic                       w_valid,
    output logic                            w_ready,
    input  wire logic [DRAM_BYTES-1:0][7:0] w_data,
    input  wire logic [DRAM_BYTES-1:0]      w_strobe,
    input  wire logic                       w_last,

    output logic       b_valid,
    input  wire logic  b_ready,
    output logic [1:0] b_response,

    output logic quiet
);
  typedef struct {
    logic [63:0] address;
    logic [7:0]  beats_left;  // behind the next one
  } burst_t;
  typedef struct {
    logic [DRAM_BYTES-1:0][7:0] data;
    logic [DRAM_BYTES-1:0] strobe;
    logic last;
  } beat_t;
  typedef struct {
    logic fails;
    int   cycle;
  } answer_t;

  burst_t bursts[$];
  beat_t beats[$];
  answer_t answers[$];
  int cycle;
  logic held_aw_valid, held_w_valid, fails;
  logic [71:0] held_aw;
  logic [DRAM_BYTES*9:0] held_w;

  initial begin
    cycle = 0;
    aw_ready = 0;
    w_ready = 0;
    b_valid = 0;
    fails = 0;
    held_aw_valid = 0;
    held_w_valid = 0;
  end
  assign quiet = bursts.size() == 0 && beats.size() == 0 && answers.size() == 0 && !b_valid && !aw_valid && !w_valid;

  // verilator lint_off BLKSEQ
  always @(posedge clk) begin
    cycle = cycle + 1;
    if (held_aw_valid && !rst && (!aw_valid || held_aw != {aw_address, aw_length})) $fdisplay(results, "E AW is not stable");
    held_aw_valid = aw_valid && !aw_ready && !rst;
    held_aw = {aw_address, aw_length};
    if (held_w_valid && !rst && (!w_valid || held_w != {w_data, w_strobe, w_last})) $fdisplay(results, "E W is not stable");
    held_w_valid = w_valid && !w_ready && !rst;
    held_w = {w_data, w_strobe, w_last};

    if (aw_valid && aw_ready) begin
      if (aw_address[11:0] % 12'(DRAM_BYTES) != 0) $fdisplay(results, "E AW at %h is not aligned", aw_address);
      if (32'(aw_address[11:0]) + (32'(aw_length) + 1) * DRAM_BYTES > 4096) begin
        $fdisplay(results, "E AW at %h crosses 4 KiB", aw_address);
      end
      bursts.push_back('{aw_address, aw_length});
    end
    if (w_valid && w_ready) beats.push_back('{w_data, w_strobe, w_last});
    if (b_valid && b_ready) b_valid <= 0;
    while (bursts.size() != 0 && beats.size() != 0) begin
      if (beats[0].last != (bursts[0].beats_left == 0)) $fdisplay(results, "E WLAST is %b at %h", beats[0].last, bursts[0].address);
      if (beats[0].strobe != 0) $fdisplay(results, "W %0d %h %h", bursts[0].address, beats[0].strobe, beats[0].data);
      if (bursts[0].address >= error_low && bursts[0].address < error_high) fails = 1;
      bursts[0].address = bursts[0].address + 64'(DRAM_BYTES);
      bursts[0].beats_left = bursts[0].beats_left - 1;
      if (beats[0].last) begin
        answers.push_back('{fails, cycle + latency});
        fails = 0;
        bursts.pop_front();
      end
      beats.pop_front();
    end
    if (bursts.size() + answers.size() > sf_dma_pkg::BURSTS) $fdisplay(results, "E %0d bursts", bursts.size() + answers.size());

    aw_ready <= int'($urandom & 255) >= stall && (!patient || w_valid || beats.size() != 0);
    w_ready <= int'($urandom & 255) >= stall;
    if (!b_valid || b_ready) begin
      b_response <= 2'($urandom);
      if (answers.size() != 0 && answers[0].cycle <= cycle && int'($urandom & 255) >= stall) begin
        b_valid <= 1;
        b_response <= answers[0].fails ? 2'd3 : 2'd0;
        answers.pop_front();
      end
    end
  end
  // verilator lint_on BLKSEQ
endmodule
`default_nettype wire
