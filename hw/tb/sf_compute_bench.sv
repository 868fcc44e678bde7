`default_nettype none
// The compute engine and a scratchpad, for a test bench that plays the other engines: it fills the scratchpad through the load port,
// issues instructions, and reads the scratchpad back through the store port.
module sf_compute_bench
  import sf_pkg::*;
#(
    parameter int LANES_IN = 8,
    parameter int LANES_OUT = 8,
    parameter int BANKS = 8,
    parameter int BANK_WORDS = 1024,
    parameter int ACC_PIXELS = 64
) (
    input  wire logic                     clk,
    input  wire logic                     rst,
    input  wire logic                     issue_valid,
    input  wire logic [255:0]             word,
    input  wire logic [15:0]              row_index,
    input  wire logic [15:0]              channel_index,
    output      logic                     issue_ready,
    output      logic                     busy,
    output      logic                     idle,
    output      logic                     retire,
    output      logic                     fault,
    output      logic [7:0]               fault_code,
    output      logic                     fault_range,
    output      logic                     fault_conflict,
    input  wire logic                     l_valid,
    output      logic                     l_ready,
    input  wire logic [19:0]              l_address,
    input  wire logic [LANES_IN-1:0][7:0] l_data,
    input  wire logic                     s_valid,
    output      logic                     s_ready,
    input  wire logic [19:0]              s_address,
    output      logic                     s_data_valid,
    output      logic [LANES_IN-1:0][7:0] s_data
);
  logic [3:0] c_read;
  logic [3:0][19:0] c_address;
  logic [3:0][LANES_IN-1:0][7:0] c_data;
  logic p_valid, p_ready, p_data_valid, w_valid;
  logic [19:0] p_address, w_address;
  logic [LANES_IN-1:0][7:0] p_data, w_data;
  logic [LANES_IN-1:0] w_strobe;
  sf_issue_t issue;
  assign issue = '{word: word, row_index: row_index, channel_index: channel_index, index: '0};

  sf_compute #(.LANES_IN(LANES_IN), .LANES_OUT(LANES_OUT), .ACC_PIXELS(ACC_PIXELS)) u_compute (
      .clk, .rst, .halt(1'b0), .issue_valid, .issue, .issue_ready, .take_valid(), .take(), .take_ready(1'b1), .give_valid(),
      .give(), .busy, .idle, .retire, .trace_index(), .fault, .fault_code, .fault_index(), .c_read, .c_address, .c_data,
      .p_valid, .p_ready, .p_address, .p_data_valid, .p_data, .w_valid, .w_address, .w_data, .w_strobe
  );
  sf_scratchpad #(.LANES(LANES_IN), .BANKS(BANKS), .BANK_WORDS(BANK_WORDS)) u_scratchpad (
      .clk, .rst, .c_read, .c_address, .c_data, .p_valid, .p_ready, .p_address, .p_data_valid, .p_data, .w_valid, .w_address,
      .w_data, .w_strobe, .s_valid, .s_ready, .s_address, .s_data_valid, .s_data, .l_valid, .l_ready, .l_address, .l_data,
      .fault_range, .fault_conflict
  );
endmodule
`default_nettype wire
