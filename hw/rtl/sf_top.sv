// The accelerator: registers (AXI4-Lite), program fetch, sequencer, load, compute and store engine, scratchpad, DRAM port (AXI4).
//
// The DRAM port reads with two IDs, fetch 0 and load 1, and writes with one; bursts are INCR of whole beats. `irq` is high while
// the machine is done, has failed or waits for the host. `trace_*` are for simulation: an engine's instruction starts, retires.
`default_nettype none
module sf_top
  import sf_pkg::*;
  import sf_registers_pkg::*;
#(
    parameter int LANES_IN = 8,     // bytes of a scratchpad word
    parameter int LANES_OUT = 8,
    parameter int BANKS = 8,
    parameter int BANK_WORDS = 1024,
    parameter int ACC_PIXELS = 64,
    parameter int DRAM_BYTES = 8,   // bytes of a beat: 8 to 128
    parameter bit PAIRED = 1        // two products of the MAC array in one DSP slice; the results are the same
) (
    input  wire logic                    clk,
    input  wire logic                    rst,
    output      logic                    irq,

    input  wire logic                    s_axi_awvalid,
    output      logic                    s_axi_awready,
    input  wire logic [7:0]              s_axi_awaddr,
    input  wire logic                    s_axi_wvalid,
    output      logic                    s_axi_wready,
    input  wire logic [31:0]             s_axi_wdata,
    input  wire logic [3:0]              s_axi_wstrb,
    output      logic                    s_axi_bvalid,
    input  wire logic                    s_axi_bready,
    output      logic [1:0]              s_axi_bresp,
    input  wire logic                    s_axi_arvalid,
    output      logic                    s_axi_arready,
    input  wire logic [7:0]              s_axi_araddr,
    output      logic                    s_axi_rvalid,
    input  wire logic                    s_axi_rready,
    output      logic [31:0]             s_axi_rdata,
    output      logic [1:0]              s_axi_rresp,

    output      logic                    m_axi_arvalid,
    input  wire logic                    m_axi_arready,
    output      logic                    m_axi_arid,
    output      logic [63:0]             m_axi_araddr,
    output      logic [7:0]              m_axi_arlen,
    output      logic [2:0]              m_axi_arsize,
    output      logic [1:0]              m_axi_arburst,
    output      logic [3:0]              m_axi_arcache,
    output      logic [2:0]              m_axi_arprot,
    input  wire logic                    m_axi_rvalid,
    output      logic                    m_axi_rready,
    input  wire logic                    m_axi_rid,
    input  wire logic [8*DRAM_BYTES-1:0] m_axi_rdata,
    input  wire logic [1:0]              m_axi_rresp,
    input  wire logic                    m_axi_rlast,
    output      logic                    m_axi_awvalid,
    input  wire logic                    m_axi_awready,
    output      logic                    m_axi_awid,
    output      logic [63:0]             m_axi_awaddr,
    output      logic [7:0]              m_axi_awlen,
    output      logic [2:0]              m_axi_awsize,
    output      logic [1:0]              m_axi_awburst,
    output      logic [3:0]              m_axi_awcache,
    output      logic [2:0]              m_axi_awprot,
    output      logic                    m_axi_wvalid,
    input  wire logic                    m_axi_wready,
    output      logic [8*DRAM_BYTES-1:0] m_axi_wdata,
    output      logic [DRAM_BYTES-1:0]   m_axi_wstrb,
    output      logic                    m_axi_wlast,
    input  wire logic                    m_axi_bvalid,
    output      logic                    m_axi_bready,
    input  wire logic                    m_axi_bid,
    input  wire logic [1:0]              m_axi_bresp,

    output      logic [2:0]              trace_start,    // by engine: load, compute, store
    output      logic [2:0]              trace_retire,
    output      logic [2:0][19:0]        trace_index,
    output      logic [2:0][31:0]        trace_address,  // DRAM, relative to the program
    output      logic [2:0][31:0]        trace_bytes
);
  localparam int LOAD = 0;
  localparam int STORE = 2;
  localparam int ENGINE_SOURCES = 8;
  localparam int SOURCES = ENGINE_SOURCES + 2;  // of faults

  // Settings and state.
  logic             start, resume, reset, clear, goes_on;
  logic             core_rst, halt, running;
  logic [63:0]      base;
  logic [31:0]      program_words, dram_limit, watchdog;
  logic [32:0]      dram_end;
  logic [3:0]       status;
  logic [7:0]       error;
  logic [19:0]      error_word;
  logic [15:0]      host_index;
  logic [63:0]      cycles, fetch_bytes, load_bytes, store_bytes;
  logic [2:0][63:0] busy_cycles;

  assign dram_end  = dram_limit == '0 ? 33'h1_0000_0000 : {1'b0, dram_limit};
  assign irq       = status[STATUS_DONE] || status[STATUS_ERROR] || status[STATUS_HOST];

  sf_registers #(
      .LANES_IN(LANES_IN),
      .LANES_OUT(LANES_OUT),
      .BANKS(BANKS),
      .BANK_WORDS(BANK_WORDS),
      .ACC_PIXELS(ACC_PIXELS),
      .DRAM_BYTES(DRAM_BYTES)
  ) u_registers (
      .clk,
      .rst,
      .clear,
      .aw_valid  (s_axi_awvalid),
      .aw_ready  (s_axi_awready),
      .aw_address(s_axi_awaddr),
      .w_valid   (s_axi_wvalid),
      .w_ready   (s_axi_wready),
      .w_data    (s_axi_wdata),
      .w_strobe  (s_axi_wstrb),
      .b_valid   (s_axi_bvalid),
      .b_ready   (s_axi_bready),
      .ar_valid  (s_axi_arvalid),
      .ar_ready  (s_axi_arready),
      .ar_address(s_axi_araddr),
      .r_valid   (s_axi_rvalid),
      .r_ready   (s_axi_rready),
      .r_data    (s_axi_rdata),
      .start,
      .resume,
      .reset,
      .base,
      .program_words,
      .dram_limit,
      .watchdog,
      .status,
      .error,
      .error_word,
      .host_index,
      .cycles,
      .fetch_bytes,
      .load_bytes,
      .store_bytes,
      .busy_cycles
  );
  assign s_axi_bresp = '0;
  assign s_axi_rresp = '0;

  // Fetch and sequencer.
  logic             fetch_ar_valid, fetch_ar_ready, fetch_r_valid, fetch_r_ready;
  logic [63:0]      fetch_ar_address;
  logic [7:0]       fetch_ar_length;
  logic             fetch_idle, fetch_fault;
  logic [19:0]      fetch_fault_index;
  logic             word_valid, word_ready;
  logic [255:0]     word;
  logic [2:0]       fetched_words;
  logic [2:0]       push_valid, push_ready;
  sf_issue_t        push;
  logic             drained, tokens_left, host, done, sequencer_fault;
  logic [7:0]       sequencer_code;
  logic [19:0]      sequencer_index;

  sf_fetch #(
      .DRAM_BYTES(DRAM_BYTES)
  ) u_fetch (
      .clk,
      .rst          (core_rst),
      .halt,
      .base,
      .program_words(program_words[20:0]),
      .ar_valid     (fetch_ar_valid),
      .ar_ready     (fetch_ar_ready),
      .ar_address   (fetch_ar_address),
      .ar_length    (fetch_ar_length),
      .r_valid      (fetch_r_valid),
      .r_ready      (fetch_r_ready),
      .r_data       (m_axi_rdata),
      .r_response   (m_axi_rresp),
      .r_last       (m_axi_rlast),
      .word_valid,
      .word_ready,
      .word,
      .arrived      (fetched_words),
      .idle         (fetch_idle),
      .fault        (fetch_fault),
      .fault_index  (fetch_fault_index)
  );

  sf_sequencer u_sequencer (
      .clk,
      .rst          (core_rst),
      .halt,
      .program_words(program_words[20:0]),
      .word_valid,
      .word_ready,
      .word,
      .issue_valid  (push_valid),
      .issue_ready  (push_ready),
      .issue        (push),
      .drained,
      .fetch_idle,
      .tokens_left,
      .resume       (goes_on),
      .host,
      .host_index,
      .done,
      .fault        (sequencer_fault),
      .fault_code   (sequencer_code),
      .index        (sequencer_index)
  );

  // Engines.
  logic                             load_ar_valid, load_ar_ready, load_r_valid, load_r_ready;
  logic [63:0]                      load_ar_address;
  logic [7:0]                       load_ar_length;
  logic [2:0]                       busy;
  logic                             engines_move, waiting;
  logic [19:0]                      waiting_index;
  logic [ENGINE_SOURCES-1:0]        engine_fault;
  logic [ENGINE_SOURCES-1:0][7:0]   engine_code;
  logic [ENGINE_SOURCES-1:0][19:0]  engine_index;

  sf_engines #(
      .LANES_IN(LANES_IN),
      .LANES_OUT(LANES_OUT),
      .BANKS(BANKS),
      .BANK_WORDS(BANK_WORDS),
      .ACC_PIXELS(ACC_PIXELS),
      .DRAM_BYTES(DRAM_BYTES),
      .SOURCES(ENGINE_SOURCES),
      .PAIRED(PAIRED)
  ) u_engines (
      .clk,
      .rst          (core_rst),
      .halt,
      .base,
      .dram_end,
      .push_valid,
      .push_ready,
      .push,
      .drained,
      .tokens_left,
      .ar_valid     (load_ar_valid),
      .ar_ready     (load_ar_ready),
      .ar_address   (load_ar_address),
      .ar_length    (load_ar_length),
      .r_valid      (load_r_valid),
      .r_ready      (load_r_ready),
      .r_data       (m_axi_rdata),
      .r_response   (m_axi_rresp),
      .r_last       (m_axi_rlast),
      .aw_valid     (m_axi_awvalid),
      .aw_ready     (m_axi_awready),
      .aw_address   (m_axi_awaddr),
      .aw_length    (m_axi_awlen),
      .m_w_valid    (m_axi_wvalid),
      .m_w_ready    (m_axi_wready),
      .m_w_data     (m_axi_wdata),
      .m_w_strobe   (m_axi_wstrb),
      .m_w_last     (m_axi_wlast),
      .b_valid      (m_axi_bvalid),
      .b_ready      (m_axi_bready),
      .b_response   (m_axi_bresp),
      .busy,
      .retire       (trace_retire),
      .trace_index,
      .trace_address,
      .trace_bytes,
      .moves        (engines_move),
      .waiting,
      .waiting_index,
      .fault        (engine_fault),
      .fault_code   (engine_code),
      .fault_index  (engine_index)
  );

  logic [2:0] in_progress;
  always_ff @(posedge clk) begin
    if (core_rst) in_progress <= '0;
    else in_progress <= busy & ~trace_retire;
  end
  assign trace_start = busy & ~in_progress;

  // The DRAM port.
  logic unused_bid;
  assign unused_bid    = m_axi_bid;  // one ID, so nothing to tell apart
  assign m_axi_awid    = 1'b0;
  assign m_axi_arsize  = 3'($clog2(DRAM_BYTES));
  assign m_axi_awsize  = 3'($clog2(DRAM_BYTES));
  assign m_axi_arburst = 2'b01;
  assign m_axi_awburst = 2'b01;
  assign m_axi_arcache = 4'b0011;    // normal memory, not cached, bufferable
  assign m_axi_awcache = 4'b0011;
  assign m_axi_arprot  = 3'b000;
  assign m_axi_awprot  = 3'b000;

  sf_read_arbiter u_arbiter (
      .clk,
      .rst       (core_rst),
      .fetch_ar_valid,
      .fetch_ar_ready,
      .fetch_ar_address,
      .fetch_ar_length,
      .fetch_r_valid,
      .fetch_r_ready,
      .load_ar_valid,
      .load_ar_ready,
      .load_ar_address,
      .load_ar_length,
      .load_r_valid,
      .load_r_ready,
      .ar_valid  (m_axi_arvalid),
      .ar_ready  (m_axi_arready),
      .ar_id     (m_axi_arid),
      .ar_address(m_axi_araddr),
      .ar_length (m_axi_arlen),
      .r_valid   (m_axi_rvalid),
      .r_ready   (m_axi_rready),
      .r_id      (m_axi_rid)
  );

  // What is under way on it.
  logic       ar_moves, r_moves, aw_moves, w_moves, b_moves, bus_quiet;
  logic [7:0] reads, writes;
  assign ar_moves  = m_axi_arvalid && m_axi_arready;
  assign r_moves   = m_axi_rvalid && m_axi_rready;
  assign aw_moves  = m_axi_awvalid && m_axi_awready;
  assign w_moves   = m_axi_wvalid && m_axi_wready;
  assign b_moves   = m_axi_bvalid && m_axi_bready;
  assign bus_quiet = !m_axi_arvalid && !m_axi_awvalid && !m_axi_wvalid && reads == '0 && writes == '0;
  always_ff @(posedge clk) begin
    if (core_rst) begin
      reads  <= '0;
      writes <= '0;
    end else begin
      reads  <= reads + 8'(ar_moves) - 8'(r_moves && m_axi_rlast);
      writes <= writes + 8'(aw_moves) - 8'(b_moves);
    end
  end

  sf_control #(
      .SOURCES(SOURCES)
  ) u_control (
      .clk,
      .rst,
      .start,
      .resume,
      .reset,
      .program_words,
      .dram_limit,
      .watchdog,
      .host,
      .done,
      .word         (sequencer_index),
      .fault        ({sequencer_fault, fetch_fault, engine_fault}),
      .fault_code   ({sequencer_code, ERROR_BUS, engine_code}),
      .fault_index  ({sequencer_index, fetch_fault_index, engine_index}),
      .moves        (|{engines_move, push_valid & push_ready, ar_moves, r_moves, aw_moves, w_moves, b_moves}),
      .stalled_index(waiting ? waiting_index : sequencer_index),
      .bus_quiet,
      .core_rst,
      .halt,
      .running,
      .goes_on,
      .clear,
      .status,
      .error,
      .error_word
  );

  sf_counters u_counters (
      .clk,
      .clear        (core_rst),
      .running,
      .busy,
      .fetched_words,
      .load_retires (trace_retire[LOAD]),
      .load_size    (trace_bytes[LOAD]),
      .store_retires(trace_retire[STORE]),
      .store_size   (trace_bytes[STORE]),
      .cycles,
      .fetch_bytes,
      .load_bytes,
      .store_bytes,
      .busy_cycles
  );
endmodule
`default_nettype wire
