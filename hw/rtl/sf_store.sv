`default_nettype none
// The store engine: rows of the scratchpad to dense rows of DRAM. A STORE ends when DRAM has acknowledged all of it.
module sf_store #(
    parameter int LANES = 8,
    parameter int DRAM_BYTES = 8
) (
    input wire logic clk,
    input wire logic rst,
    input wire logic halt,

    input  wire logic              issue_valid,
    input  wire sf_pkg::sf_issue_t issue,
    output logic                   issue_ready,

    output logic                  take_valid,
    output logic      [1:0][15:0] take,
    input  wire logic             take_ready,
    output logic                  give_valid,
    output logic      [1:0][15:0] give,

    output logic        busy,
    output logic        idle,
    output logic        retire,
    output logic [19:0] trace_index,
    output logic [31:0] trace_address,
    output logic [31:0] trace_bytes,
    output logic        fault,
    output logic [ 7:0] fault_code,
    output logic [19:0] fault_index,

    input wire logic [63:0] base,
    input wire logic [32:0] dram_limit,

    output logic                             aw_valid,
    input  wire logic                        aw_ready,
    output logic      [63:0]                 aw_address,
    output logic      [ 7:0]                 aw_length,
    output logic                             w_valid,
    input  wire logic                        w_ready,
    output logic      [DRAM_BYTES-1:0][ 7:0] w_data,
    output logic      [DRAM_BYTES-1:0]       w_strobe,
    output logic                             w_last,
    input  wire logic                        b_valid,
    output logic                             b_ready,
    input  wire logic [ 1:0]                 b_response,

    output logic                       s_valid,
    input  wire logic                  s_ready,
    output logic      [19:0]           s_address,
    input  wire logic                  s_data_valid,
    input  wire logic [LANES-1:0][7:0] s_data
);
  localparam int SIZE_BITS = $clog2(LANES + 1);

  logic prepare_idle, ready, is_sync, is_empty, start, begins, stopped, finished, quiet, bus_fails, range_fails;
  logic [1:0][15:0] takes, gives;
  logic [19:0] index;
  sf_registers_pkg::sf_error_t error;
  sf_dma_pkg::sf_transfer_t transfer;

  sf_prepare #(
      .LANES(LANES),
      .DRAM_BYTES(DRAM_BYTES),
      .LOADS(0)
  ) prepare (
      .taken(start),
      .idle (prepare_idle),
      .*
  );
  sf_engine_control control (.*);

  logic presents;
  assign b_ready = 1'b1;
  sf_bursts #(
      .DRAM_BYTES(DRAM_BYTES)
  ) bursts (
      .clk(clk),
      .rst(rst),
      .start(begins),
      .start_address(transfer.address),
      .start_beats(transfer.beats),
      .stop(stopped),
      .valid(aw_valid),
      .ready(aw_ready),
      .address(aw_address),
      .length(aw_length),
      .presents(presents),
      .completes(b_valid),
      .done(finished),
      .quiet(quiet)
  );

  logic walk_valid, walk_step, walk_out_of_range, unused_ends_row, walk_ends_all;
  logic [19:0] walk_address;
  logic [SIZE_BITS-1:0] walk_size;
  sf_walk #(
      .LANES(LANES)
  ) walk (
      .clk(clk),
      .rst(rst),
      .start(begins),
      .transfer(transfer),
      .step(walk_step),
      .valid(walk_valid),
      .address(walk_address),
      .out_of_range(walk_out_of_range),
      .size(walk_size),
      .ends_row(unused_ends_row),
      .ends_all(walk_ends_all)
  );

  logic word_valid, word_ready, word_is_last;
  logic [LANES-1:0][7:0] word;
  logic [SIZE_BITS-1:0] word_size;
  sf_read_ahead #(
      .LANES(LANES)
  ) read_ahead (.*);
  sf_pack #(
      .LANES(LANES),
      .DRAM_BYTES(DRAM_BYTES)
  ) pack (
      .start(begins),
      .start_address(transfer.address[11:0]),
      .start_beats(transfer.beats),
      .*
  );

  assign bus_fails = b_valid && b_response != '0;
  assign range_fails = walk_valid && walk_out_of_range;
endmodule
`default_nettype wire
