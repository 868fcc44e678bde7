// The three engines with what is between them: queues, tokens, scratchpad.
`default_nettype none
module sf_engines
  import sf_pkg::*;
  import sf_registers_pkg::*;
#(
    parameter int LANES_IN = 8,
    parameter int LANES_OUT = 8,
    parameter int BANKS = 8,
    parameter int BANK_WORDS = 1024,
    parameter int ACC_PIXELS = 64,
    parameter int DRAM_BYTES = 8,
    parameter int SOURCES = 8,         // of faults
    parameter bit PAIRED = 1
) (
    input  wire logic                       clk,
    input  wire logic                       rst,
    input  wire logic                       halt,
    input  wire logic [63:0]                base,
    input  wire logic [32:0]                dram_end,
    // Instructions. All vectors of three are by engine: load, compute, store.
    input  wire logic [2:0]                 push_valid,
    output      logic [2:0]                 push_ready,
    input  wire sf_issue_t                  push,
    output      logic                       drained,        // queues empty, engines idle
    output      logic                       tokens_left,
    // DRAM.
    output      logic                       ar_valid,
    input  wire logic                       ar_ready,
    output      logic [63:0]                ar_address,
    output      logic [7:0]                 ar_length,
    input  wire logic                       r_valid,
    output      logic                       r_ready,
    input  wire logic [DRAM_BYTES-1:0][7:0] r_data,
    input  wire logic [1:0]                 r_response,
    input  wire logic                       r_last,
    output      logic                       aw_valid,
    input  wire logic                       aw_ready,
    output      logic [63:0]                aw_address,
    output      logic [7:0]                 aw_length,
    output      logic                       m_w_valid,
    input  wire logic                       m_w_ready,
    output      logic [DRAM_BYTES-1:0][7:0] m_w_data,
    output      logic [DRAM_BYTES-1:0]      m_w_strobe,
    output      logic                       m_w_last,
    input  wire logic                       b_valid,
    output      logic                       b_ready,
    input  wire logic [1:0]                 b_response,
    // What is seen.
    output      logic [2:0]                 busy,
    output      logic [2:0]                 retire,
    output      logic [2:0][19:0]           trace_index,
    output      logic [2:0][31:0]           trace_address,
    output      logic [2:0][31:0]           trace_bytes,
    output      logic                       moves,          // a scratchpad access or an instruction's begin or end
    output      logic                       waiting,        // an engine waits for tokens or executes
    output      logic [19:0]                waiting_index,  // the instruction
    output      logic [SOURCES-1:0]         fault,
    output      logic [SOURCES-1:0][7:0]    fault_code,
    output      logic [SOURCES-1:0][19:0]   fault_index
);
  localparam int LOAD = 0;
  localparam int COMPUTE = 1;
  localparam int STORE = 2;

  // Queues and tokens, by engine.
  logic      [2:0]            issue_valid, issue_ready;
  sf_issue_t [2:0]            issue;
  logic      [2:0]            take_valid, take_ready, give_valid;
  logic      [2:0][1:0][15:0] take, give;
  logic      [2:0]            idle, engine_fault, overflow;
  logic      [2:0][7:0]       engine_code;
  logic      [2:0][19:0]      engine_fault_index;

  for (genvar e = 0; e < 3; e++) begin : g_queues
    sf_fifo #(
        .WIDTH($bits(sf_issue_t)),
        .DEPTH(QUEUE_DEPTH)
    ) u_queue (
        .clk,
        .rst,
        .in_valid (push_valid[e]),
        .in_ready (push_ready[e]),
        .in_data  (push),
        .out_valid(issue_valid[e]),
        .out_ready(issue_ready[e]),
        .out_data (issue[e])
    );
  end
  assign drained = idle == '1 && issue_valid == '0;

  sf_tokens u_tokens (
      .clk,
      .rst,
      .take_valid,
      .take,
      .take_ready,
      .give_valid,
      .give,
      .left(tokens_left),
      .overflow
  );

  // Engines and scratchpad.
  logic                          l_valid, l_ready;
  logic [19:0]                   l_address;
  logic [LANES_IN-1:0][7:0]      l_data;
  logic [3:0]                    c_read;
  logic [3:0][19:0]              c_address;
  logic [3:0][LANES_IN-1:0][7:0] c_data;
  logic                          w_valid;
  logic [19:0]                   w_address;
  logic [LANES_IN-1:0][7:0]      w_data;
  logic [LANES_IN-1:0]           w_strobe;
  logic                          p_valid, p_ready, p_data_valid;
  logic [19:0]                   p_address;
  logic [LANES_IN-1:0][7:0]      p_data;
  logic                          s_valid, s_ready, s_data_valid;
  logic [19:0]                   s_address;
  logic [LANES_IN-1:0][7:0]      s_data;
  logic                          fault_range, fault_conflict;

  sf_load #(
      .LANES(LANES_IN),
      .DRAM_BYTES(DRAM_BYTES)
  ) u_load (
      .clk,
      .rst,
      .halt,
      .issue_valid  (issue_valid[LOAD]),
      .issue        (issue[LOAD]),
      .issue_ready  (issue_ready[LOAD]),
      .take_valid   (take_valid[LOAD]),
      .take         (take[LOAD]),
      .take_ready   (take_ready[LOAD]),
      .give_valid   (give_valid[LOAD]),
      .give         (give[LOAD]),
      .busy         (busy[LOAD]),
      .idle         (idle[LOAD]),
      .retire       (retire[LOAD]),
      .trace_index  (trace_index[LOAD]),
      .trace_address(trace_address[LOAD]),
      .trace_bytes  (trace_bytes[LOAD]),
      .fault        (engine_fault[LOAD]),
      .fault_code   (engine_code[LOAD]),
      .fault_index  (engine_fault_index[LOAD]),
      .base,
      .dram_limit   (dram_end),
      .ar_valid,
      .ar_ready,
      .ar_address,
      .ar_length,
      .r_valid,
      .r_ready,
      .r_data,
      .r_response,
      .r_last,
      .l_valid,
      .l_ready,
      .l_address,
      .l_data
  );

  sf_compute #(
      .LANES_IN(LANES_IN),
      .LANES_OUT(LANES_OUT),
      .ACC_PIXELS(ACC_PIXELS),
      .PAIRED(PAIRED)
  ) u_compute (
      .clk,
      .rst,
      .halt,
      .issue_valid(issue_valid[COMPUTE]),
      .issue      (issue[COMPUTE]),
      .issue_ready(issue_ready[COMPUTE]),
      .take_valid (take_valid[COMPUTE]),
      .take       (take[COMPUTE]),
      .take_ready (take_ready[COMPUTE]),
      .give_valid (give_valid[COMPUTE]),
      .give       (give[COMPUTE]),
      .busy       (busy[COMPUTE]),
      .idle       (idle[COMPUTE]),
      .retire     (retire[COMPUTE]),
      .trace_index(trace_index[COMPUTE]),
      .fault      (engine_fault[COMPUTE]),
      .fault_code (engine_code[COMPUTE]),
      .fault_index(engine_fault_index[COMPUTE]),
      .c_read,
      .c_address,
      .c_data,
      .w_valid,
      .w_address,
      .w_data,
      .w_strobe,
      .p_valid,
      .p_ready,
      .p_address,
      .p_data_valid,
      .p_data
  );
  assign trace_address[COMPUTE] = '0;
  assign trace_bytes[COMPUTE]   = '0;

  sf_store #(
      .LANES(LANES_IN),
      .DRAM_BYTES(DRAM_BYTES)
  ) u_store (
      .clk,
      .rst,
      .halt,
      .issue_valid  (issue_valid[STORE]),
      .issue        (issue[STORE]),
      .issue_ready  (issue_ready[STORE]),
      .take_valid   (take_valid[STORE]),
      .take         (take[STORE]),
      .take_ready   (take_ready[STORE]),
      .give_valid   (give_valid[STORE]),
      .give         (give[STORE]),
      .busy         (busy[STORE]),
      .idle         (idle[STORE]),
      .retire       (retire[STORE]),
      .trace_index  (trace_index[STORE]),
      .trace_address(trace_address[STORE]),
      .trace_bytes  (trace_bytes[STORE]),
      .fault        (engine_fault[STORE]),
      .fault_code   (engine_code[STORE]),
      .fault_index  (engine_fault_index[STORE]),
      .base,
      .dram_limit   (dram_end),
      .aw_valid,
      .aw_ready,
      .aw_address,
      .aw_length,
      .w_valid      (m_w_valid),
      .w_ready      (m_w_ready),
      .w_data       (m_w_data),
      .w_strobe     (m_w_strobe),
      .w_last       (m_w_last),
      .b_valid,
      .b_ready,
      .b_response,
      .s_valid,
      .s_ready,
      .s_address,
      .s_data_valid,
      .s_data
  );

  sf_scratchpad #(
      .LANES(LANES_IN),
      .BANKS(BANKS),
      .BANK_WORDS(BANK_WORDS)
  ) u_scratchpad (
      .clk,
      .rst,
      .c_read,
      .c_address,
      .c_data,
      .w_valid,
      .w_address,
      .w_data,
      .w_strobe,
      .p_valid,
      .p_ready,
      .p_address,
      .p_data_valid,
      .p_data,
      .s_valid,
      .s_ready,
      .s_address,
      .s_data_valid,
      .s_data,
      .l_valid,
      .l_ready,
      .l_address,
      .l_data,
      .fault_range,
      .fault_conflict
  );

  // Faults. What a scratchpad access does wrong is charged to the instruction that its engine executes.
  localparam int WORDS = BANKS * BANK_WORDS;
  logic [1:0] overreacher;  // as late as `fault_range`
  always_ff @(posedge clk) begin
    overreacher <= 2'(COMPUTE);
    if (s_valid && 32'(s_address) >= WORDS) overreacher <= 2'(STORE);
    if (l_valid && 32'(l_address) >= WORDS) overreacher <= 2'(LOAD);
  end
  always_comb begin
    fault       = {overflow, engine_fault, fault_range, fault_conflict};
    fault_code  = {{3{ERROR_TOKENS}}, engine_code, ERROR_SCRATCHPAD_RANGE, ERROR_BANK_CONFLICT};
    fault_index = {trace_index, engine_fault_index, trace_index[overreacher], trace_index[COMPUTE]};
  end

  // Progress. Who waits for tokens has its instruction from the queue already.
  logic [2:0][19:0] popped;
  logic [2:0]       waits;
  always_ff @(posedge clk) begin
    for (int e = 0; e < 3; e++) if (issue_valid[e] && issue_ready[e]) popped[e] <= issue[e].index;
  end
  always_comb begin
    waits         = take_valid & ~take_ready;
    waiting       = |{waits, busy};
    waiting_index = '0;
    for (int e = 2; e >= 0; e--) if (busy[e]) waiting_index = trace_index[e];
    for (int e = 2; e >= 0; e--) if (waits[e]) waiting_index = popped[e];
    moves = |{c_read, w_valid, p_valid && p_ready, s_valid && s_ready, l_valid && l_ready, retire, issue_valid & issue_ready};
  end
endmodule
`default_nettype wire
