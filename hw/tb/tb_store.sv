// Instructions through sf_store, with a scratchpad and a memory that make it wait.
`default_nettype none
module tb_store #(
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
  logic aw_valid, aw_ready, w_valid, w_ready, w_last, b_valid, b_ready, s_valid, s_ready, s_data_valid, quiet, patient;
  logic [63:0] aw_address;
  logic [7:0] aw_length;
  logic [DRAM_BYTES-1:0][7:0] w_data;
  logic [DRAM_BYTES-1:0] w_strobe;
  logic [1:0] b_response;
  logic [19:0] s_address;
  logic [LANES-1:0][7:0] s_data;
  integer results, stall, latency;

  sf_episodes u_episodes (
      .address_event(aw_valid),
      .address_taken(aw_valid && aw_ready),
      .data_event(w_valid),
      .end_event(b_valid && b_ready),
      .*
  );
  sf_write_memory #(.DRAM_BYTES(DRAM_BYTES)) u_memory (.*);
  sf_store #(.LANES(LANES), .DRAM_BYTES(DRAM_BYTES)) u_unit (.*);

  function automatic logic [7:0] value(input logic [23:0] a);
    return a[7:0] * 8'd167 + a[15:8] * 8'd59 + a[23:16] * 8'd101;
  endfunction

  // The scratchpad: data READ_LATENCY cycles after a read that was accepted, the last of them the register on the output.
  localparam int WAITS = sf_pkg::READ_LATENCY - 1;
  logic [WAITS-1:0] pending;
  logic [WAITS-1:0][19:0] addresses;
  initial pending = '0;
  initial s_data_valid = 0;
  initial s_ready = 0;
  always @(posedge clk) begin
    pending <= rst ? '0 : WAITS'({pending, s_valid && s_ready});
    addresses <= {addresses[WAITS-2:0], s_address};
    s_data_valid <= !rst && pending[WAITS-1];
    for (int lane = 0; lane < LANES; lane++) begin
      s_data[lane] <= pending[WAITS-1] ? value(24'(32'(addresses[WAITS-1]) * LANES + lane)) : 8'($urandom);
    end
    s_ready <= int'($urandom & 255) >= stall;
  end
endmodule
`default_nettype wire
