// A memory at the end of an AXI4 read channel, and a judge of it. Byte `a` holds a value made from `a`.
`default_nettype none
module sf_read_memory #(
    parameter int DRAM_BYTES = 8
) (
    input wire logic        clk,
    input wire logic        rst,
    input wire integer          results,
    input wire integer          stall,
    input wire integer          latency,
    input wire logic [63:0] error_low,
    input wire logic [63:0] error_high,

    input  wire logic        ar_valid,
    output logic             ar_ready,
    input  wire logic [63:0] ar_address,
    input  wire logic [ 7:0] ar_length,

    output logic                       r_valid,
    input  wire logic                  r_ready,
    output logic [DRAM_BYTES-1:0][7:0] r_data,
    output logic [           1:0]      r_response,
    output logic                       r_last,

    output logic quiet
);
  typedef struct {
    logic [63:0] address;
    logic [7:0]  beats_left;  // behind the next one
    int          cycle;       // of its first beat, at the earliest
  } burst_t;

  function automatic logic [7:0] value(input logic [31:0] a);
    return a[7:0] * 8'd167 + a[15:8] * 8'd59 + a[23:16] * 8'd101 + a[31:24] * 8'd211;
  endfunction

  burst_t bursts[$];
  int cycle;
  logic held_valid;
  logic [71:0] held;

  initial begin
    cycle = 0;
    ar_ready = 0;
    r_valid = 0;
    held_valid = 0;
  end
  assign quiet = bursts.size() == 0 && !r_valid && !ar_valid;

  // verilator lint_off BLKSEQ
  always @(posedge clk) begin
    cycle = cycle + 1;
    if (held_valid && !rst && (!ar_valid || held != {ar_address, ar_length})) $fdisplay(results, "E AR is not stable");
    held_valid = ar_valid && !ar_ready && !rst;
    held = {ar_address, ar_length};
    if (ar_valid && ar_ready) begin
      if (ar_address[11:0] % 12'(DRAM_BYTES) != 0) $fdisplay(results, "E AR at %h is not aligned", ar_address);
      if (32'(ar_address[11:0]) + (32'(ar_length) + 1) * DRAM_BYTES > 4096) begin
        $fdisplay(results, "E AR at %h crosses 4 KiB", ar_address);
      end
      bursts.push_back('{ar_address, ar_length, cycle + latency});
      if (bursts.size() > sf_dma_pkg::BURSTS) $fdisplay(results, "E %0d bursts", bursts.size());
    end
    ar_ready <= int'($urandom & 255) >= stall;

    if (r_valid && r_ready && r_last) bursts.pop_front();
    if (!r_valid || r_ready) begin
      r_valid <= 0;
      r_last <= 1'($urandom);
      for (int lane = 0; lane < DRAM_BYTES; lane++) r_data[lane] <= 8'($urandom);
      if (bursts.size() != 0 && bursts[0].cycle <= cycle && int'($urandom & 255) >= stall) begin
        r_valid <= 1;
        r_last <= bursts[0].beats_left == 0;
        r_response <= bursts[0].address >= error_low && bursts[0].address < error_high ? 2'd2 : 2'd0;
        for (int lane = 0; lane < DRAM_BYTES; lane++) r_data[lane] <= value(32'(bursts[0].address) + 32'(lane));
        bursts[0].address = bursts[0].address + 64'(DRAM_BYTES);
        bursts[0].beats_left = bursts[0].beats_left - 1;
      end
    end
  end
  // verilator lint_on BLKSEQ
endmodule
`default_nettype wire
