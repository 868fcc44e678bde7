// The machine's state as registers.py tells it: exactly one of idle, busy, done, error, host. It keeps the first error, watches that
// something moves, and lets a reset wait until no burst is under way.
//
// Each start clears everything behind it (`core_rst`), so that a run never depends on the one before.
`default_nettype none
module sf_control
  import sf_registers_pkg::*;
#(
    parameter int SOURCES = 1
) (
    input  wire logic                     clk,
    input  wire logic                     rst,
    // From the registers.
    input  wire logic                     start,
    input  wire logic                     resume,
    input  wire logic                     reset,
    input  wire logic [31:0]              program_words,
    input  wire logic [31:0]              dram_limit,
    input  wire logic [31:0]              watchdog,
    // From the sequencer.
    input  wire logic                     host,
    input  wire logic                     done,
    input  wire logic [19:0]              word,          // HOST's index
    // From everywhere; of two faults in one cycle the first in the list counts.
    input  wire logic [SOURCES-1:0]       fault,
    input  wire logic [SOURCES-1:0][7:0]  fault_code,
    input  wire logic [SOURCES-1:0][19:0] fault_index,
    input  wire logic                     moves,         // something has moved in this cycle
    input  wire logic [19:0]              stalled_index, // whom to name if nothing does
    input  wire logic                     bus_quiet,
    output      logic                     core_rst,
    output      logic                     halt,
    output      logic                     running,
    output      logic                     goes_on,       // pulse: the host is done
    output      logic                     clear,         // pulse: forget the settings
    output      logic [3:0]               status,
    output      logic [7:0]               error,
    output      logic [19:0]              error_word
);
  typedef enum logic [2:0] {
    IDLE,
    CLEAR,     // one cycle in front of a run
    RUN,
    HOST,
    DONE,
    ERROR,
    QUIET,     // a reset waits for the bus
    FORGET     // one cycle of reset
  } state_t;
  localparam logic [31:0] LONGEST_PROGRAM = 32'd1 << 20;

  state_t      state;
  logic [31:0] still;     // cycles in which nothing has moved
  logic        stalled;
  logic        too_long;
  logic        outside;

  assign running  = state == RUN;
  assign halt     = !(state == RUN || state == HOST);
  assign core_rst = rst || state == CLEAR || state == FORGET;
  assign clear    = state == FORGET;
  assign goes_on  = state == HOST && resume;
  assign stalled  = running && watchdog != '0 && still == watchdog;
  assign too_long = program_words > LONGEST_PROGRAM;
  assign outside  = dram_limit != '0 && {program_words, 5'd0} > {5'd0, dram_limit};

  always_comb begin
    status                = '0;
    status[STATUS_BUSY]   = state inside {CLEAR, RUN, QUIET, FORGET};
    status[STATUS_DONE]   = state == DONE;
    status[STATUS_ERROR]  = state == ERROR;
    status[STATUS_HOST]   = state == HOST;
  end

  always_ff @(posedge clk) begin
    if (!running || moves) still <= '0;
    else still <= still + 32'd1;
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      state      <= IDLE;
      error      <= ERROR_NONE;
      error_word <= '0;
    end else begin
      unique case (state)
        IDLE, DONE: if (start) state <= CLEAR;
        CLEAR: begin
          state <= RUN;
          if (too_long || outside) begin
            state      <= ERROR;
            error      <= too_long ? ERROR_UNSUPPORTED : ERROR_DRAM_RANGE;
            error_word <= '0;
          end
        end
        RUN, HOST: begin
          if (state == RUN && host) begin
            state      <= HOST;
            error_word <= word;
          end
          if (state == HOST && resume) state <= RUN;
          if (done) state <= DONE;
          if (stalled) begin
            state      <= ERROR;
            error      <= ERROR_STALLED;
            error_word <= stalled_index;
          end
          for (int i = SOURCES - 1; i >= 0; i--) begin
            if (fault[i]) begin
              state      <= ERROR;
              error      <= fault_code[i];
              error_word <= fault_index[i];
            end
          end
        end
        ERROR: ;
        QUIET: if (bus_quiet) state <= FORGET;
        FORGET: begin
          state      <= IDLE;
          error      <= ERROR_NONE;
          error_word <= '0;
        end
        default: state <= IDLE;
      endcase
      if (reset && state != FORGET) state <= QUIET;
    end
  end
endmodule
`default_nettype wire
