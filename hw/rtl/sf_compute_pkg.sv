// What the parts of the compute engine hand to each other.
/* verilator lint_off UNUSEDPARAM */
package sf_compute_pkg;
  import sf_isa_pkg::*;

  localparam int PLACE_LATENCY = 3;     // sf_place
  localparam int MAC_LATENCY = 2;       // sf_mac_array, and the word path beside it
  localparam int SETS = 4;              // vectors whose biases and factors are held
  localparam int MIN_PASS = 4;          // cycles between two additions to one accumulator
  localparam int MIN_PASS_AVERAGE = 8;  // the same in float32

  // One operand of a COMPUTE: row r lies at base + (r mod ring) * row_words; slot is first row mod ring.
  typedef struct packed {
    logic [19:0] base;
    logic [15:0] ring;
    logic [15:0] slot;
    logic [25:0] row_words;
    logic [9:0]  pixel_words;
  } sf_operand_t;

  // What travels with a pixel, from its read to the write of its result.
  typedef struct packed {
    logic        first;       // first and last pass over the accumulators
    logic        last;
    logic        pass_start;  // first pixel of the pass
    logic        pair;        // the pass multiplies two kernel columns: this pixel's input and the one before it
    logic        prime;       // no pixel, only the input before one
    logic        vector_end;  // last pixel of its vector's last pass
    logic        bank;        // which of the two weight tiles
    logic [1:0]  set;         // biases and factors
    logic [15:0] pixel;       // accumulator
    logic [15:0] row;         // of the output, from the band's first
    logic [15:0] column;
    logic [16:0] out_byte;    // byte of the output pixel where lane 0 lands
    logic [15:0] channel;     // channel of lane 0: byte of the residual's pixel
    logic [7:0]  low, high;   // lanes that hold channels: [low, high)
  } sf_meta_t;

  // A read of weights: of a row of the next tile (CONV), or of the word that meets the present pixels (DEPTHWISE).
  typedef struct packed {
    logic       read;       // else the word has no lane of this row
    logic       row_valid;  // the read completes a row of the tile
    logic [7:0] row;
    logic       bank;
    logic [7:0] low, high;  // lanes inside the group's depth
    logic [7:0] shift;      // lanes that the group's first channel lies to the left
    logic       pair;       // two kernel columns, each in half of the lanes
  } sf_tile_t;

  // A COMPUTE that is ready to run: fields of SETUP and COMPUTE, and what follows from them at its loop indices.
  typedef struct packed {
    sf_kind_t kind;
    logic conv;                 // the MAC array
    logic weighted;             // CONV, DEPTHWISE
    logic mean;
    logic average;
    logic requantised;          // CONV, DEPTHWISE, GLOBAL_MEAN: bias, factor, zero point
    logic [5:0] kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;  // of a window; else 1
    logic [11:0] positions;     // kernel_h * kernel_w
    logic [1:0] pair;           // kernel columns from one to that which shares its pass; 0: each has passes of its own
    logic signed [23:0] top;    // input row of the first output row's first kernel row
    logic signed [7:0] left;    // input column of the first output column's first kernel column
    logic [15:0] x_height, x_width;
    logic [15:0] x_first;       // first input row that is read
    logic [15:0] mean_rows;     // GLOBAL_MEAN: input rows of the band
    logic resize;
    logic [5:0] phase;          // RESIZE: copies of the first input row that lie before the band
    logic [31:0] pixels;        // output pixels of the band; input pixels of a mean
    logic [15:0] scan_width;    // pixels of a row of them
    logic [15:0] channel_first, channel_end;
    logic [15:0] group_size;    // output channels of a convolution group
    logic [15:0] depth;         // input channels of a convolution group
    logic [16:0] group_end;     // end of the group that channel_first lies in
    logic [15:0] group_lane;    // that group's first input channel
    sf_operand_t x, out, residual;
    logic [16:0] out_channel;
    logic [19:0] weights;       // word of the first output channel's weights
    logic [19:0] weights_wrap;  // word of the weight ring's row 0
    logic [15:0] weights_left;  // rows from the first one to the ring's end
    logic [15:0] weights_ring;
    logic [27:0] weights_row;   // words of one output channel
    logic [15:0] depth_words;   // words of one kernel position
    logic [19:0] parameters, scale;
    logic has_scale, has_table0, has_table1, swapped, include_pad, final_band, first_band, same;
    logic [1:0] binary;
    logic signed [7:0] out_zero, pad_value;
  } sf_job_t;
endpackage
/* verilator lint_on UNUSEDPARAM */
