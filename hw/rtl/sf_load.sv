`default_nettype none
// The load engine: rows of DRAM, dense or folded, to whole words of the scratchpad.
module sf_load #(
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

    output logic                             ar_valid,
    input  wire logic                        ar_ready,
    output logic      [63:0]                 ar_address,
    output logic      [ 7:0]                 ar_length,
    input  wire logic                        r_valid,
    output logic                             r_ready,
    input  wire logic [DRAM_BYTES-1:0][ 7:0] r_data,
    input  wire logic [ 1:0]                 r_response,
    input  wire logic                        r_last,

    output logic                  l_valid,
    input  wire logic             l_ready,
    output logic [19:0]           l_address,
    output logic [LANES-1:0][7:0] l_data
);
  localparam int POSITION_BITS = 36;
  localparam int SIZE_BITS = $clog2(LANES + 1);

  logic prepare_idle, ready, is_sync, is_empty, start, begins, stopped, finished, quiet, bus_fails, range_fails;
  logic [1:0][15:0] takes, gives;
  logic [19:0] index;
  sf_registers_pkg::sf_error_t error;
  sf_dma_pkg::sf_transfer_t transfer;

  sf_prepare #(
      .LANES(LANES),
      .DRAM_BYTES(DRAM_BYTES),
      .LOADS(1)
  ) prepare (
      .taken(start),
      .idle (prepare_idle),
      .*
  );
  sf_engine_control control (.*);

  logic burst_completes, bursts_done, unused_presents;
  assign burst_completes = r_valid && r_ready && r_last;
  sf_bursts #(
      .DRAM_BYTES(DRAM_BYTES)
  ) bursts (
      .clk(clk),
      .rst(rst),
      .start(begins),
      .start_address(transfer.address),
      .start_beats(transfer.beats),
      .stop(stopped),
      .valid(ar_valid),
      .ready(ar_ready),
      .address(ar_address),
      .length(ar_length),
      .presents(unused_presents),
      .completes(burst_completes),
      .done(bursts_done),
      .quiet(quiet)
  );

  logic walk_valid, walk_step, walk_out_of_range, walk_ends_row, unused_ends_all;
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
      .ends_row(walk_ends_row),
      .ends_all(unused_ends_all)
  );

  logic window_valid, window_step, window_out_of_range;
  logic [19:0] window_address;
  logic [SIZE_BITS-1:0] size, low, high;
  logic [7:0] zero;
  logic signed [POSITION_BITS-1:0] position, until_end, row_end;
  sf_window #(
      .LANES(LANES),
      .POSITION_BITS(POSITION_BITS)
  ) window (
      .start(begins),
      .start_byte(7'(transfer.address[$clog2(DRAM_BYTES)-1:0])),
      .step(window_step),
      .valid(window_valid),
      .address(window_address),
      .out_of_range(window_out_of_range),
      .*
  );
  sf_unpack #(
      .LANES(LANES),
      .DRAM_BYTES(DRAM_BYTES),
      .POSITION_BITS(POSITION_BITS)
  ) unpack (
      .start(begins),
      .beat_valid(r_valid),
      .beat_ready(r_ready),
      .beat(r_data),
      .more(walk_valid),
      .*
  );

  assign finished = bursts_done && !walk_valid && !window_valid && !l_valid;
  assign bus_fails = r_valid && r_ready && r_response != '0;
  assign range_fails = window_step && window_out_of_range;
endmodule
`default_nettype wire
