// Generated from registers.py by `python -m sfopt_fpga.sv_package hw/rtl`. Do not edit.
/* verilator lint_off UNUSEDPARAM */
package sf_registers_pkg;
  localparam logic [31:0] IDENTITY = 32'h53460002;
  localparam logic [7:0] REG_IDENTITY = 8'h00;
  localparam logic [7:0] REG_CONTROL = 8'h04;
  localparam logic [7:0] REG_STATUS = 8'h08;
  localparam logic [7:0] REG_ERROR = 8'h0c;
  localparam logic [7:0] REG_ERROR_WORD = 8'h10;
  localparam logic [7:0] REG_HOST_INDEX = 8'h14;
  localparam logic [7:0] REG_BASE = 8'h18;
  localparam logic [7:0] REG_PROGRAM_WORDS = 8'h20;
  localparam logic [7:0] REG_DRAM_LIMIT = 8'h24;
  localparam logic [7:0] REG_WATCHDOG = 8'h28;
  localparam logic [7:0] REG_CYCLES = 8'h40;
  localparam logic [7:0] REG_FETCH_BYTES = 8'h48;
  localparam logic [7:0] REG_LOAD_BYTES = 8'h50;
  localparam logic [7:0] REG_STORE_BYTES = 8'h58;
  localparam logic [7:0] REG_LOAD_BUSY = 8'h60;
  localparam logic [7:0] REG_COMPUTE_BUSY = 8'h68;
  localparam logic [7:0] REG_STORE_BUSY = 8'h70;
  localparam logic [7:0] REG_LANES_IN = 8'h80;
  localparam logic [7:0] REG_LANES_OUT = 8'h84;
  localparam logic [7:0] REG_BANKS = 8'h88;
  localparam logic [7:0] REG_BANK_WORDS = 8'h8c;
  localparam logic [7:0] REG_ACCUMULATOR_PIXELS = 8'h90;
  localparam logic [7:0] REG_DRAM_WORD_BYTES = 8'h94;
  localparam int CONTROL_START = 0;
  localparam int CONTROL_RESUME = 1;
  localparam int CONTROL_RESET = 2;
  localparam int STATUS_BUSY = 0;
  localparam int STATUS_DONE = 1;
  localparam int STATUS_ERROR = 2;
  localparam int STATUS_HOST = 3;
  typedef enum logic [7:0] {
    ERROR_NONE = 8'd0,
    ERROR_ILLEGAL_INSTRUCTION = 8'd1,
    ERROR_LOOP = 8'd2,
    ERROR_END_OF_PROGRAM = 8'd3,
    ERROR_SETUP = 8'd4,
    ERROR_UNSUPPORTED = 8'd5,
    ERROR_SCRATCHPAD_RANGE = 8'd6,
    ERROR_BANK_CONFLICT = 8'd7,
    ERROR_RING = 8'd8,
    ERROR_DRAM_RANGE = 8'd9,
    ERROR_BUS = 8'd10,
    ERROR_PARAMETER = 8'd11,
    ERROR_TOKENS = 8'd12,
    ERROR_STALLED = 8'd13,
    ERROR_MEAN_ORDER = 8'd14
  } sf_error_t;
endpackage
/* verilator lint_on UNUSEDPARAM */
