`default_nettype none
// Takes a LOAD, STORE or SYNC from the queue and works out which rows it moves, from where to where. Touches no memory.
//
// `ready` says that the results stand; `taken` frees the place for the next instruction, which is popped a cycle later at the
// earliest. From the pop to `ready` it takes 1 cycle for a SYNC, 5 for an empty range, else 10; 15 more where the first row's
// number is not below the ring, and 8 more when folding, of an empty range too.
// One multiplier does all products. Each carries a tag that says what becomes of it, three cycles on.
module sf_prepare #(
    parameter int LANES = 8,
    parameter int DRAM_BYTES = 8,
    parameter bit LOADS = 1
) (
    input wire logic clk,
    input wire logic rst,

    input  wire logic                  stopped,
    input  wire logic                  issue_valid,
    input  wire sf_pkg::sf_issue_t     issue,
    output logic                       issue_ready,
    input  wire logic           [63:0] base,
    input  wire logic           [32:0] dram_limit,

    input  wire logic                                taken,
    output logic                                     idle,
    output logic                                     ready,
    output logic                                     is_sync,
    output logic                                     is_empty,
    output sf_registers_pkg::sf_error_t              error,
    output logic                         [1:0][15:0] takes,
    output logic                         [1:0][15:0] gives,
    output logic                         [     19:0] index,
    output sf_dma_pkg::sf_transfer_t                 transfer
);
  import sf_isa_pkg::*;
  import sf_registers_pkg::*;

  typedef enum logic [3:0] {
    IDLE,
    ROW_BYTES,
    ROW_WORDS,
    RANGE,
    FOLD,
    FOLD_PAD,
    FOLD_STRIDE,
    OFFSET,
    SIZE,
    SLOT,
    WAIT,
    READY
  } state_t;
  typedef enum logic [3:0] {
    NO_TAG,
    RANGE_TAG,
    ROW_BYTES_TAG,
    ROW_WORDS_TAG,
    PAD_TAG,
    STRIDE_TAG,
    OFFSET_TAG,
    SIZE_TAG,
    WORD_TAG
  } tag_t;

  localparam int BEAT_BITS = $clog2(DRAM_BYTES);
  localparam int FOLD_BITS = 8;  // of the channels of a pixel that folds, and its taps

  state_t state;
  sf_load_t next, held;  // a STORE has the same fields
  // verilator lint_off UNUSEDSIGNAL
  sf_sync_t sync;  // of it, the counts
  // verilator lint_on UNUSEDSIGNAL
  logic next_folds, folds, pops;
  logic [15:0] next_loop, loop;

  assign next = sf_load_t'(issue.word);
  assign next_folds = LOADS && next.fold_taps != '0;
  assign next_loop = next.axis == AXIS_ROWS ? issue.row_index : issue.channel_index;
  assign issue_ready = state == IDLE && !stopped;
  assign pops = issue_valid && issue_ready;
  assign folds = LOADS && held.fold_taps != '0;
  assign sync = sf_sync_t'(held);

  // What the instruction's numbers are, as they become known.
  logic [15:0] first_row, end_row, rows, slot;
  logic [33:0] end_sum, first_sum;
  logic no_rows;
  logic [35:0] row_bytes;
  logic [27:0] row_words;

  // Products.
  tag_t tag_in, tag_out;
  tag_t [1:0] tags;
  logic [15:0] a;
  logic [35:0] b;
  logic [51:0] product;
  sf_multiply #(
      .A_BITS(16),
      .B_BITS(36)
  ) multiply (
      .clk(clk),
      .a(a),
      .b(b),
      .product(product)
  );

  // Divisions: the bytes of a DRAM pixel when folding, and the ring's row.
  logic fold_done, ring_starts, ring_done, ring_running;
  logic [FOLD_BITS-1:0] depth, depth_rest;
  logic [15:0] ring_rest, unused_quotient;
  if (LOADS) begin : fold_divides
    sf_divide #(
        .BITS(FOLD_BITS)
    ) divide (
        .clk(clk),
        .rst(rst),
        .start(pops),
        .dividend(next.channels[FOLD_BITS-1:0]),
        .divisor(FOLD_BITS'(next.fold_taps)),
        .done(fold_done),
        .quotient(depth),
        .remainder(depth_rest)
    );
  end else begin : fold_divides
    assign fold_done  = 1'b0;
    assign depth      = '0;
    assign depth_rest = '0;
  end
  sf_divide #(
      .BITS(16)
  ) ring_divide (
      .clk(clk),
      .rst(rst),
      .start(ring_starts),
      .dividend(first_row),
      .divisor(held.ring),
      .done(ring_done),
      .quotient(unused_quotient),
      .remainder(ring_rest)
  );

  // Rows.
  assign end_sum = 34'(held.first) + 34'(product[31:0]);
  assign first_sum = end_sum - 34'(held.step);
  assign rows = end_row - first_row;
  assign no_rows = rows == '0 || product == '0 || held.width == '0;  // when the product is a row's bytes
  assign ring_starts = state == OFFSET && first_row >= held.ring && !no_rows;
  assign slot = first_row >= held.ring ? ring_rest : first_row;

  always_comb begin
    tag_in = NO_TAG;
    a = next_loop;
    b = 36'(next.step);
    unique case (state)
      IDLE: if (pops) tag_in = RANGE_TAG;
      ROW_BYTES: begin
        tag_in = ROW_BYTES_TAG;
        a = held.width;
        b = 36'(held.channels);
      end
      ROW_WORDS: begin
        tag_in = ROW_WORDS_TAG;
        a = held.width;
        b = 36'(held.pixel_words);
      end
      FOLD: begin
        if (fold_done) tag_in = ROW_BYTES_TAG;
        a = held.fold_width;
        b = 36'(depth);
      end
      FOLD_PAD: begin
        tag_in = PAD_TAG;
        a = 16'(held.fold_pad);
        b = 36'(depth);
      end
      FOLD_STRIDE: begin
        tag_in = STRIDE_TAG;
        a = 16'(held.fold_stride);
        b = 36'(depth);
      end
      OFFSET: begin
        tag_in = OFFSET_TAG;
        a = first_row;
        b = product[35:0];
      end
      SIZE: begin
        tag_in = SIZE_TAG;
        a = rows;
        b = row_bytes;
      end
      SLOT: begin
        if (!ring_running || ring_done) tag_in = WORD_TAG;
        a = slot;
        b = 36'(row_words);
      end
      default: ;
    endcase
  end

  always_ff @(posedge clk) begin
    if (pops) begin
      held <= next;
      loop <= next_loop;
      index <= issue.index;
    end
    unique case (state)
      IDLE:
      if (pops) begin
        state <= next.opcode == OPCODE_SYNC ? READY : next_folds ? ROW_WORDS : ROW_BYTES;
      end
      ROW_BYTES: state <= ROW_WORDS;
      ROW_WORDS: state <= folds ? FOLD : RANGE;
      RANGE: state <= OFFSET;
      FOLD: if (fold_done) state <= FOLD_PAD;
      FOLD_PAD: state <= FOLD_STRIDE;
      FOLD_STRIDE: state <= OFFSET;
      OFFSET: state <= no_rows ? READY : SIZE;
      SIZE: state <= SLOT;
      SLOT: if (!ring_running || ring_done) state <= WAIT;
      WAIT: if (tag_out == WORD_TAG) state <= READY;
      READY: if (taken) state <= IDLE;
      default: state <= IDLE;
    endcase
    if (ring_starts) ring_running <= 1'b1;
    else if (ring_done) ring_running <= 1'b0;
    if (rst) begin
      state <= IDLE;
      ring_running <= 1'b0;
    end
  end

  // What becomes of the products.
  logic [52:0] offset;
  logic [32:0] size_bytes;
  logic [44:0] word;
  logic [63:0] address;
  logic [29:0] beats;
  logic [13:0] pad_bytes, stride_bytes;
  logic empty, bad_ring, beyond_dram;
  sf_error_t form_error;
  always_ff @(posedge clk) begin
    {tag_out, tags} <= {tags, tag_in};
    unique case (tag_out)
      RANGE_TAG: begin
        end_row   <= end_sum < 34'(held.total) ? end_sum[15:0] : held.total;
        first_row <= loop == '0 ? '0 : first_sum < 34'(held.total) ? first_sum[15:0] : held.total;
      end
      ROW_BYTES_TAG: begin
        row_bytes <= product[35:0];
        empty <= no_rows;
        form_error <= ERROR_NONE;
        if (LOADS ? folds && held.fold_stride == '0 : held.fold_taps != '0) form_error <= ERROR_ILLEGAL_INSTRUCTION;
        else if (folds && held.channels > 20'(LANES)) form_error <= ERROR_UNSUPPORTED;
        else if (folds && depth_rest != '0) form_error <= ERROR_ILLEGAL_INSTRUCTION;
      end
      ROW_WORDS_TAG: row_words <= product[27:0];
      PAD_TAG: pad_bytes <= product[13:0];
      STRIDE_TAG: stride_bytes <= product[13:0];
      OFFSET_TAG: offset <= 53'(held.dram) + 53'(product);
      SIZE_TAG: begin
        size_bytes <= product[32:0];  // more is beyond the DRAM
        beyond_dram <= 54'(offset) + 54'(product) > 54'(dram_limit);
        address <= base + 64'(offset[31:0]);
        bad_ring <= held.ring == '0 || 20'(held.pixel_words) * 20'(LANES) < held.channels || (!LOADS && rows > held.ring);
      end
      WORD_TAG: begin
        word  <= 45'(held.base) + 45'(product[43:0]);
        beats <= 30'((34'(size_bytes) + 34'(address[BEAT_BITS-1:0]) + 34'(DRAM_BYTES - 1)) >> BEAT_BITS);
      end
      default: ;
    endcase
    if (rst) {tag_out, tags} <= '0;
  end

  // Results.
  always_comb begin
    error = ERROR_NONE;
    if (is_sync) error = ERROR_NONE;
    else if (form_error != ERROR_NONE) error = form_error;
    else if (empty) error = ERROR_NONE;
    else if (bad_ring) error = ERROR_RING;
    else if (beyond_dram) error = ERROR_DRAM_RANGE;
    else if (word[44:20] != '0) error = ERROR_SCRATCHPAD_RANGE;
  end

  assign idle = state == IDLE;
  assign ready = state == READY;
  assign is_sync = held.opcode == OPCODE_SYNC;
  assign is_empty = empty;
  assign takes = is_sync ? {sync.wait1, sync.wait0} : {15'b0, held.take[1], 15'b0, held.take[0]};
  assign gives = is_sync ? {sync.signal1, sync.signal0} : {15'b0, held.give[1], 15'b0, held.give[0]};
  assign transfer = '{
          address: address,
          offset: offset[31:0],
          size_bytes: size_bytes,
          beats: beats,
          row_bytes: row_bytes[32:0],
          word: word[19:0],
          rows: rows,
          rows_to_wrap: held.ring - slot,
          folds: folds,
          pad_bytes: pad_bytes,
          stride_bytes: stride_bytes,
          zero: held.fold_zero,
          width: held.width,
          channels: held.channels,
          pixel_words: held.pixel_words,
          ring: held.ring,
          base: held.base
      };
endmodule
`default_nettype wire
