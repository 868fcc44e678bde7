// Generated from isa.py by `python -m sfopt_fpga.sv_package hw/rtl`. Do not edit.
/* verilator lint_off UNUSEDPARAM */
package sf_isa_pkg;
  localparam int WORD_BITS = 256;
  localparam int OPCODE_BITS = 4;
  localparam int LOOP_BODY_WORDS = 1024;
  localparam int MEAN_CHANNELS = 4096;
  typedef enum logic [3:0] {
    OPCODE_LOAD = 4'd1,
    OPCODE_STORE = 4'd2,
    OPCODE_SETUP = 4'd3,
    OPCODE_COMPUTE = 4'd4,
    OPCODE_SYNC = 4'd5,
    OPCODE_LOOP = 4'd6,
    OPCODE_HOST = 4'd7,
    OPCODE_END = 4'd8,
    OPCODE_PHASE = 4'd9
  } sf_opcode_t;
  typedef enum logic [1:0] {
    ENGINE_LOAD = 2'd0,
    ENGINE_COMPUTE = 2'd1,
    ENGINE_STORE = 2'd2
  } sf_engine_t;
  typedef enum logic [0:0] {
    AXIS_ROWS = 1'd0,
    AXIS_CHANNELS = 1'd1
  } sf_axis_t;
  typedef enum logic [2:0] {
    KIND_CONV = 3'd0,
    KIND_DEPTHWISE = 3'd1,
    KIND_MAX_POOL = 3'd2,
    KIND_AVERAGE_POOL = 3'd3,
    KIND_GLOBAL_MEAN = 3'd4,
    KIND_COPY = 3'd5,
    KIND_RESIZE = 3'd6
  } sf_kind_t;
  typedef enum logic [1:0] {
    BINARY_NONE = 2'd0,
    BINARY_ADD = 2'd1,
    BINARY_MUL = 2'd2
  } sf_binary_t;
  // DRAM rows to scratchpad; DRAM rows are dense, pixels are padded to words with zeros on the way; load engine
  typedef struct packed {
    logic [40:0] unused;
    logic signed [7:0] fold_zero;
    logic [15:0] fold_width;
    logic [5:0] fold_pad;
    logic [5:0] fold_stride;
    logic [5:0] fold_taps;
    logic [11:0] pixel_words;
    logic [19:0] channels;
    logic [15:0] width;
    logic [15:0] total;
    logic [15:0] step;
    logic [15:0] first;
    logic axis;
    logic [15:0] ring;
    logic [19:0] base;
    logic [31:0] dram;
    logic [1:0] give;
    logic [1:0] take;
    logic [3:0] opcode;
  } sf_load_t;
  // scratchpad rows to DRAM, padding dropped; never folds; store engine
  typedef struct packed {
    logic [40:0] unused;
    logic signed [7:0] fold_zero;
    logic [15:0] fold_width;
    logic [5:0] fold_pad;
    logic [5:0] fold_stride;
    logic [5:0] fold_taps;
    logic [11:0] pixel_words;
    logic [19:0] channels;
    logic [15:0] width;
    logic [15:0] total;
    logic [15:0] step;
    logic [15:0] first;
    logic axis;
    logic [15:0] ring;
    logic [19:0] base;
    logic [31:0] dram;
    logic [1:0] give;
    logic [1:0] take;
    logic [3:0] opcode;
  } sf_store_t;
  // geometry and post-processing of the COMPUTE instructions that follow; compute engine
  typedef struct packed {
    logic [15:0] unused;
    logic [9:0] residual_pixel_words;
    logic include_pad;
    logic has_table1;
    logic swapped;
    logic [1:0] binary;
    logic has_table0;
    logic has_scale;
    logic [19:0] scale;
    logic [19:0] parameters;
    logic signed [7:0] pad_value;
    logic signed [7:0] out_zero;
    logic [15:0] out_channels;
    logic [15:0] out_width;
    logic [15:0] out_height;
    logic [15:0] x_channels;
    logic [15:0] x_width;
    logic [15:0] x_height;
    logic [15:0] groups;
    logic [5:0] pad_left;
    logic [5:0] pad_top;
    logic [5:0] dilation_w;
    logic [5:0] dilation_h;
    logic [5:0] stride_w;
    logic [5:0] stride_h;
    logic [5:0] kernel_w;
    logic [5:0] kernel_h;
    logic [2:0] kind;
    logic [3:0] opcode;
  } sf_setup_t;
  // one band of output rows (GLOBAL_MEAN: of input rows) for one tile of output channels; compute engine
  typedef struct packed {
    logic [3:0] unused;
    logic [15:0] channel_step;
    logic [15:0] channel_first;
    logic [15:0] step;
    logic [15:0] first;
    logic [15:0] residual_ring;
    logic [19:0] residual_base;
    logic [15:0] weights_ring;
    logic [19:0] weights_base;
    logic [15:0] out_channel;
    logic [9:0] out_pixel_words;
    logic [15:0] out_ring;
    logic [19:0] out_base;
    logic [9:0] x_pixel_words;
    logic [15:0] x_ring;
    logic [19:0] x_base;
    logic [1:0] give;
    logic [1:0] take;
    logic [3:0] opcode;
  } sf_compute_t;
  // the COMPUTE instructions that follow, up to the next SETUP, write rows of an output that others write between them; compute engine
  typedef struct packed {
    logic [189:0] unused;
    logic [5:0] row_step;
    logic [15:0] row_first;
    logic [19:0] weights_row_words;
    logic [19:0] out_row_words;
    logic [3:0] opcode;
  } sf_phase_t;
  // an engine takes and gives tokens in bulk
  typedef struct packed {
    logic [185:0] unused;
    logic [15:0] signal1;
    logic [15:0] signal0;
    logic [15:0] wait1;
    logic [15:0] wait0;
    logic [1:0] engine;
    logic [3:0] opcode;
  } sf_sync_t;
  // repeat the next words
  typedef struct packed {
    logic [218:0] unused;
    logic [15:0] body;
    logic [15:0] count;
    logic axis;
    logic [3:0] opcode;
  } sf_loop_t;
  // stop until the host has run one operator on DRAM
  typedef struct packed {
    logic [235:0] unused;
    logic [15:0] index;
    logic [3:0] opcode;
  } sf_host_t;
  // the program is done
  typedef struct packed {
    logic [251:0] unused;
    logic [3:0] opcode;
  } sf_end_t;
endpackage
/* verilator lint_on UNUSEDPARAM */
