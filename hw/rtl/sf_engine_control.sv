`default_nettype none
// The order of things in a DMA engine: take tokens, start, wait until all is moved, retire and give tokens; or fault and stop.
//
// `start` is the cycle in which tokens are taken; `begins` says that there are bytes to move. Execution lasts from the cycle
// behind it to the one in which `finished` is high (an empty range and a SYNC: one cycle); the next instruction may take its tokens
// in that same cycle. Once `halt` was high or something failed, `stopped` stays until reset: nothing retires any more, and `idle`
// then says that no burst is under way.
module sf_engine_control (
    input wire logic clk,
    input wire logic rst,
    input wire logic halt,

    input  wire logic                                prepare_idle,
    input  wire logic                                ready,
    input  wire logic                                is_sync,
    input  wire logic                                is_empty,
    input  wire sf_registers_pkg::sf_error_t         error,
    input  wire logic                    [1:0][15:0] takes,
    input  wire logic                    [1:0][15:0] gives,
    input  wire logic                    [     19:0] index,
    // verilator lint_off UNUSEDSIGNAL
    input  wire sf_dma_pkg::sf_transfer_t            transfer,  // each part of an engine uses some of it
    // verilator lint_on UNUSEDSIGNAL

    output logic             take_valid,
    output logic [1:0][15:0] take,
    input  wire logic        take_ready,
    output logic             give_valid,
    output logic [1:0][15:0] give,

    output logic start,
    output logic begins,
    output logic stopped,
    input  wire logic finished,
    input  wire logic quiet,
    input  wire logic bus_fails,
    input  wire logic range_fails,

    output logic        busy,
    output logic        idle,
    output logic        retire,
    output logic [19:0] trace_index,
    output logic [31:0] trace_address,
    output logic [31:0] trace_bytes,
    output logic        fault,
    output logic [ 7:0] fault_code,
    output logic [19:0] fault_index
);
  import sf_registers_pkg::*;

  logic executes, moves, syncs;
  sf_error_t start_error;

  assign take_valid = ready && (!executes || retire) && !stopped && !halt;
  assign take = takes;
  assign start = take_valid && take_ready;
  assign begins = start && !is_sync && !is_empty && error == ERROR_NONE;

  assign retire = executes && !stopped && start_error == ERROR_NONE && (!moves || finished);
  assign give_valid = retire;
  assign busy = executes && !syncs && !stopped;
  assign idle = stopped ? quiet : prepare_idle && !executes;

  always_ff @(posedge clk) begin
    if (start) begin
      executes <= 1'b1;
      moves <= begins;
      syncs <= is_sync;
      start_error <= error;
      give <= gives;
      trace_index <= index;
      trace_address <= begins ? transfer.offset : '0;
      trace_bytes <= begins ? transfer.size_bytes[31:0] : '0;
    end else if (retire) begin
      executes <= 1'b0;
      moves <= 1'b0;
    end
    if (rst) begin
      executes <= 1'b0;
      moves <= 1'b0;
    end
  end

  // The first thing that fails is told; it cannot be the instruction of a cycle in which nothing executes.
  sf_error_t failure;
  always_comb begin
    failure = ERROR_NONE;
    if (bus_fails) failure = ERROR_BUS;
    else if (range_fails) failure = ERROR_SCRATCHPAD_RANGE;
    else if (executes) failure = start_error;
  end
  always_ff @(posedge clk) begin
    fault <= 1'b0;
    if (!stopped && failure != ERROR_NONE) begin
      fault <= 1'b1;
      fault_code <= failure;
      fault_index <= trace_index;
    end
    if (halt || failure != ERROR_NONE) stopped <= 1'b1;
    if (rst) begin
      stopped <= 1'b0;
      fault   <= 1'b0;
    end
  end
endmodule
`default_nettype wire
