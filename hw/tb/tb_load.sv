// Instructions through sf_load, with a memory and a scratchpad that make it wait.
`default_nettype none
module tb_load #(
    parameter int LANES = 8,
    parameter int DRAM_BYTES = 8
);
  logic clk, rst, halt, issue_valid, issue_ready, take_valid, take_ready, give_valid, busy, idle, retire, fault;
  sf_pkg::sf_issue_t issue;
  logic [1:0][15:0] take, give;
  logic [19:0] trace_index, fault_index;
  logic [31:0] trace_address, trace_bytes;
  logic [7:0] fault_code;
  logic [63:0] base, error_low, error_high;
  logic [32:0] dram_limit;
  logic ar_valid, ar_ready, r_valid, r_ready, r_last, l_valid, l_ready, quiet, unused_patient;
  logic [63:0] ar_address;
  logic [7:0] ar_length;
  logic [DRAM_BYTES-1:0][7:0] r_data;
  logic [1:0] r_response;
  logic [19:0] l_address;
  logic [LANES-1:0][7:0] l_data;
  integer results, stall, latency;

  sf_episodes u_episodes (
      .address_event(ar_valid),
      .address_taken(ar_valid && ar_ready),
      .data_event(r_valid && r_ready),
      .end_event(r_valid && r_ready),
      .patient(unused_patient),
      .*
  );
  sf_read_memory #(.DRAM_BYTES(DRAM_BYTES)) u_memory (.*);
  sf_load #(.LANES(LANES), .DRAM_BYTES(DRAM_BYTES)) u_unit (.*);

  logic held_valid, stopped;
  logic [20+8*LANES-1:0] held;
  initial held_valid = 0;
  initial stopped = 0;
  initial l_ready = 0;
  // verilator lint_off BLKSEQ
  always @(posedge clk) begin
    if (l_valid && l_ready && !rst) $fdisplay(results, "W %0d %h", l_address, l_data);
    if (held_valid && l_valid && held != {l_address, l_data}) $fdisplay(results, "E the word is not stable");
    if (held_valid && !l_valid && !stopped) $fdisplay(results, "E the word is gone");
    stopped = (stopped || halt || fault) && !rst;
    held_valid = l_valid && !l_ready && !rst;
    held = {l_address, l_data};
    l_ready <= int'($urandom & 255) >= stall;
  end
  // verilator lint_on BLKSEQ
endmodule
`default_nettype wire
