// Types and figures that several modules share.
/* verilator lint_off UNUSEDPARAM */
package sf_pkg;
  localparam int ADDRESS_BITS = 20;  // scratchpad words
  localparam int READ_LATENCY = 3;   // cycles from a scratchpad read to its data
  localparam int QUEUE_DEPTH = 16;   // instructions that wait in front of an engine

  // An instruction on its way to an engine, with the indices of the loops around it.
  typedef struct packed {
    logic [255:0] word;
    logic [15:0]  row_index;
    logic [15:0]  channel_index;
    logic [19:0]  index;  // which instruction of the program
  } sf_issue_t;
endpackage
/* verilator lint_on UNUSEDPARAM */
