// What the load and the store engine have in common.
package sf_dma_pkg;
  localparam int BURSTS = 8;  // read or write bursts under way at most

  // A LOAD or STORE with its rows and addresses worked out. Byte counts may be 2^32.
  typedef struct packed {
    logic [63:0] address;  // bus address of the first byte
    logic [31:0] offset;  // the same, from the base register on
    logic [32:0] size_bytes;
    logic [29:0] beats;
    logic [32:0] row_bytes;  // of a DRAM row
    logic [19:0] word;  // scratchpad word of the first row
    logic [15:0] rows;
    logic [15:0] rows_to_wrap;  // rows up to the ring's end
    logic folds;
    logic [13:0] pad_bytes;  // folding: of the padding left of a row
    logic [13:0] stride_bytes;  // folding: from one scratchpad pixel to the next
    logic [7:0] zero;  // folding: value of the padding
    logic [15:0] width;
    logic [19:0] channels;
    logic [11:0] pixel_words;
    logic [15:0] ring;
    logic [19:0] base;
  } sf_transfer_t;
endpackage
