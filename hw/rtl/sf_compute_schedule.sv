`default_nettype none
// Puts the work of a COMPUTE into cycles. Chunks of pixels, vectors of channels, passes (kernel row, kernel column, word of input
// channels), pixels: one pixel a cycle. While a pass runs, the weights of the next one are read. A pass is as long as its pixels
// and those rows need; the last pass of a vector gives each pixel as many cycles as its result has words to write.
//
// A pass of two kernel columns (job.pair) reads for each pixel what the second of them needs. What the first one needs is what was
// read before it, so the first pixel of the pass and of each row takes a cycle more, its prime, that reads this.
module sf_compute_schedule
  import sf_compute_pkg::*;
#(
    parameter int LANES_IN = 8,
    parameter int LANES_OUT = 8,
    parameter int ACC_PIXELS = 64,
    parameter int AVERAGE_INTERVAL = 8
) (
    input  wire logic               clk,
    input  wire logic               rst,
    input  wire logic               start,
    input  wire sf_job_t            job,
    input  wire logic               head_ready,    // tables and scalars are there
    input  wire logic        [15:0] sets_fetched,  // vectors whose biases and factors are there
    output      logic               running,
    // The pixel of this cycle.
    output      logic               valid,
    output      sf_meta_t           meta,
    output      logic signed [23:0] in_row,
    output      logic signed [17:0] in_column,
    output      logic        [16:0] x_word,        // word of the input pixel
    // The read of weights of this cycle.
    output      logic               w_valid,
    output      logic        [19:0] w_address,
    output      sf_tile_t           w_tile
);
  localparam int SHIFT_BITS = $clog2(LANES_IN);

  typedef struct packed {
    logic [15:0]        row, column;
    logic signed [23:0] in_row;
    logic signed [17:0] in_column;
    logic [5:0]         phase_row, phase_column;
  } sf_scan_t;

  typedef enum logic [1:0] {IDLE, FIRST, PROLOGUE, RUN} sf_state_t;
  sf_state_t state;

  // The next pass: whose weights are read now.
  logic [31:0] v_chunk;
  logic [15:0] v_channel, v_low, v_high, v_lane;
  logic v_chunk_last, v_last;
  logic next_valid, next_first, next_last, next_new_chunk;
  logic [5:0] next_kx, next_ky;
  logic [11:0] next_down, next_right;  // rows and columns of the kernel position
  logic [15:0] next_block, blocks;
  logic [27:0] next_position;          // words of weights before the kernel position
  logic [SHIFT_BITS-1:0] shift;
  logic shifted;
  logic [19:0] tile_word, row_word, row_word_after;
  logic [15:0] tile_left, row_left, row_left_after;
  logic [15:0] next_number;            // of its vector
  logic next_pair, two_reads;          // a row of weights takes two reads
  logic [6:0] next_kx_after, kx_step, columns_on;
  logic next_row_end;                  // its kernel row's last

  // The present pass.
  logic [31:0] chunk;
  logic first, last, bank, pair, primed;
  logic [15:0] channel, low, high, number;
  logic [11:0] down, right;
  logic [16:0] word;
  logic [19:0] w_word;
  logic [16:0] out_byte;
  logic [15:0] interval;
  logic [1:0] set;

  logic [31:0] pixel;      // next pixel of the pass
  logic [15:0] slot;       // cycle of the pass, saturating
  logic [15:0] sub;        // cycle of the pixel
  sf_scan_t scan, scan_next, scan_after, chunk_scan, band_scan;
  logic issue, prime, issue_pixel, go, pass_end, pixels_done, advance, prologue_end, load_row;
  logic [15:0] row_slots, slot_min, row_slot, words_out, words_residual;

  sf_tiles #(.LANES_IN(LANES_IN), .LANES_OUT(LANES_OUT), .ACC_PIXELS(ACC_PIXELS)) u_vectors (
      .clk, .start, .advance(advance && next_last), .job,
      .chunk(v_chunk), .channel(v_channel), .low(v_low), .high(v_high), .lane(v_lane), .chunk_last(v_chunk_last),
      .last(v_last)
  );

  // ---- the next pass
  assign shift = v_lane[SHIFT_BITS-1:0];
  assign shifted = job.conv && shift != 0;
  assign blocks = job.conv ? 16'((17'(shift) + {1'b0, job.depth} + 17'(LANES_IN - 1)) >> SHIFT_BITS) : 16'd1;
  assign next_pair = job.pair != 0 && 7'(next_kx) + 7'(job.pair) < 7'(job.kernel_w);
  always_comb begin
    case (job.pair)
      2'd0: kx_step = 7'd1;
      2'd1: kx_step = 7'd2;
      default: kx_step = next_kx[0] ? 7'd3 : 7'd1;  // 0 with 2, 1 with 3, 4 with 6 ...
    endcase
  end
  assign next_kx_after = 7'(next_kx) + kx_step;
  assign next_row_end = next_kx_after >= 7'(job.kernel_w);
  assign columns_on = next_row_end ? 7'(job.kernel_w) - 7'(next_kx) : kx_step;  // a word of weights each, where passes pair
  assign next_last = next_block == blocks - 1 && next_row_end && next_ky == job.kernel_h - 1;
  assign prologue_end = state == PROLOGUE && (!job.conv || slot == row_slots - 1);
  assign advance = pass_end || prologue_end;
  assign two_reads = shifted || next_pair;
  assign row_slots = two_reads ? 16'(2 * LANES_OUT) : 16'(LANES_OUT);
  assign row_slot = two_reads ? slot >> 1 : slot;
  assign load_row = job.conv && next_valid && (state == PROLOGUE || (state == RUN && go)) && row_slot < v_high;
  always_comb begin
    row_word_after = row_word;
    row_left_after = row_left;
    if (load_row && (!two_reads || slot[0])) begin
      row_word_after = row_left == 1 ? job.weights_wrap : row_word + 20'(job.weights_row);
      row_left_after = row_left == 1 ? job.weights_ring : row_left - 1;
    end
  end

  always_ff @(posedge clk) begin
    if (start || (advance && next_last)) begin
      next_kx <= '0;
      next_ky <= '0;
      next_down <= '0;
      next_right <= '0;
      next_block <= '0;
      next_position <= '0;
      next_first <= 1'b1;
      next_new_chunk <= start || v_chunk_last;
      next_number <= start ? '0 : next_number + 1;
    end else if (advance) begin
      next_first <= 1'b0;
      next_new_chunk <= 1'b0;
      next_block <= next_block == blocks - 1 ? '0 : next_block + 1;
      if (next_block == blocks - 1) begin
        next_position <= next_position + (job.pair == 0 ? 28'(job.depth_words) : 28'(columns_on));
        next_kx <= next_row_end ? '0 : next_kx_after[5:0];
        next_right <= next_row_end ? '0 : next_right + 12'(job.dilation_w) * 12'(kx_step);
        if (next_row_end) begin
          next_ky <= next_ky + 1;
          next_down <= next_down + 12'(job.dilation_h);
        end
      end
    end
    if (start) next_valid <= 1'b1;
    else if (advance && next_last && v_last) next_valid <= 1'b0;

    if (start || (advance && next_last && v_chunk_last)) begin
      tile_word <= job.weights;
      tile_left <= job.weights_left;
      row_word <= job.weights;
      row_left <= job.weights_left;
    end else if (advance && next_last) begin
      tile_word <= row_word_after;
      tile_left <= row_left_after;
      row_word <= row_word_after;
      row_left <= row_left_after;
    end else begin
      row_word <= advance ? tile_word : row_word_after;
      row_left <= advance ? tile_left : row_left_after;
    end
  end

  // ---- the present pass
  assign words_out = 16'((17'(out_byte[SHIFT_BITS-1:0]) + {1'b0, high} + 17'(LANES_IN - 1)) >> SHIFT_BITS);
  assign words_residual =
      job.binary == 0 ? '0 : 16'((17'(channel[SHIFT_BITS-1:0]) + {1'b0, high} + 17'(LANES_IN - 1)) >> SHIFT_BITS);
  always_comb begin
    interval = 16'd1;
    if (job.mean ? pixel + 1 >= chunk : last) begin
      interval = words_out > words_residual ? words_out : words_residual;
      if (job.average && interval < 16'(AVERAGE_INTERVAL)) interval = 16'(AVERAGE_INTERVAL);
    end
  end
  // The first pass waits for what all pixels need, the last one for what their results need.
  assign go = slot != 0 ||
      ((head_ready || !(last || (first && (job.has_scale || job.average)))) &&
       (!last || !job.requantised || sets_fetched != (job.mean ? '0 : number)));
  assign issue = state == RUN && go && sub == 0 && pixel != chunk;
  assign slot_min = (first && last) ? 16'd1 : (job.average ? 16'(MIN_PASS_AVERAGE) : 16'(MIN_PASS));
  assign prime = issue && pair && !primed && (pixel == 0 || scan.column == 0);
  assign issue_pixel = issue && !prime;
  assign pixels_done = (issue_pixel ? pixel + 1 == chunk : pixel == chunk) && (sub == interval - 1);
  assign pass_end = state == RUN && go && pixels_done && slot + 16'd1 >= slot_min &&
      (!(job.conv && next_valid) || slot + 16'd1 >= row_slots);

  always_comb begin
    scan_next = scan;
    scan_next.column = scan.column + 1;
    scan_next.phase_column = scan.phase_column + 1;
    if (!job.resize) begin
      scan_next.in_column = scan.in_column + 18'(job.stride_w);
    end else if (scan.phase_column == job.stride_w - 1) begin
      scan_next.in_column = scan.in_column + 1;
      scan_next.phase_column = '0;
    end
    if (scan.column == job.scan_width - 1) begin
      scan_next.column = '0;
      scan_next.phase_column = '0;
      scan_next.in_column = band_scan.in_column;
      scan_next.row = scan.row + 1;
      scan_next.phase_row = scan.phase_row + 1;
      if (!job.resize) begin
        scan_next.in_row = scan.in_row + 24'(job.stride_h);
      end else if (scan.phase_row == job.stride_h - 1) begin
        scan_next.in_row = scan.in_row + 1;
        scan_next.phase_row = '0;
      end
    end
  end
  assign scan_after = issue_pixel ? scan_next : scan;
  always_comb begin
    band_scan = '0;
    band_scan.in_row = job.top;
    band_scan.in_column = 18'(job.left);
    band_scan.phase_row = job.phase;
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      state <= IDLE;
    end else begin
      case (state)
        IDLE: if (start) state <= FIRST;
        FIRST: state <= PROLOGUE;
        PROLOGUE: if (prologue_end) state <= RUN;
        RUN: if (pass_end && !next_valid) state <= IDLE;
        default: state <= IDLE;
      endcase
    end
    if (start || advance) begin
      slot <= '0;
      sub <= '0;
      pixel <= '0;
      primed <= 1'b0;
    end else if (state == PROLOGUE || (state == RUN && go)) begin
      if (slot != 16'hfffe) slot <= slot + 1;
      if (issue_pixel) pixel <= pixel + 1;
      if (issue) primed <= prime;
      if (!(pixel == chunk && sub == interval - 1)) sub <= sub == interval - 1 ? '0 : sub + 1;
      if (state == PROLOGUE) sub <= '0;
    end
    if (advance) begin
      chunk <= v_chunk;
      first <= next_first;
      last <= next_last;
      pair <= next_pair;
      channel <= v_channel;
      low <= v_low;
      high <= v_high;
      number <= next_number;
      down <= next_down;
      right <= next_right;
      word <= 17'(v_lane >> SHIFT_BITS) + {1'b0, next_block};
      w_word <= 20'(job.weights + 20'(next_position) + 20'(v_channel >> SHIFT_BITS));
      out_byte <= job.out_channel + {1'b0, v_channel};
      set <= job.mean ? '0 : next_number[1:0];
      bank <= state == RUN ? !bank : 1'b0;
    end
    if (state == FIRST) begin
      scan <= band_scan;
      chunk_scan <= band_scan;
    end else if (pass_end) begin
      if (next_new_chunk) chunk_scan <= scan_after;
      scan <= next_new_chunk ? scan_after : chunk_scan;
    end else begin
      scan <= scan_after;
    end
  end

  // ---- outputs, registered
  logic tile_bank;
  assign tile_bank = state == RUN ? !bank : 1'b0;
  logic [16:0] tile_end;
  assign tile_end = 17'(shift) + {1'b0, job.depth} - 17'({next_block, SHIFT_BITS'(0)});
  always_ff @(posedge clk) begin
    valid <= issue && !rst;
    running <= start || state == FIRST || state == PROLOGUE || state == RUN;
    if (issue) begin
      meta.first <= first;
      meta.last <= last;
      meta.pass_start <= pixel == 0;
      meta.pair <= pair;
      meta.prime <= prime;
      meta.vector_end <= last && !prime && pixel + 1 == chunk;
      meta.bank <= bank;
      meta.set <= set;
      meta.pixel <= pixel[15:0];
      meta.row <= job.mean ? '0 : scan.row;
      meta.column <= job.mean ? '0 : scan.column;
      meta.out_byte <= out_byte;
      meta.channel <= channel;
      meta.low <= low[7:0];
      meta.high <= high[7:0];
      in_row <= scan.in_row + $signed({12'd0, down});
      in_column <= scan.in_column + $signed({6'd0, right}) + (pair && !prime ? $signed({12'd0, job.stride_w}) : '0);
      x_word <= word;
    end
    w_valid <= !rst && (load_row || (issue && job.weighted && !job.conv));
    w_address <= !job.conv ? w_word : row_word + 20'(next_position) + 20'(next_block) - 20'(shifted && !slot[0]) +
        (next_pair && slot[0] ? 20'(job.pair) : '0);
    w_tile.read <= !shifted || (slot[0] ? next_block < job.depth_words : next_block != 0);
    w_tile.row_valid <= load_row && (!two_reads || slot[0]);
    w_tile.row <= row_slot[7:0];
    w_tile.bank <= tile_bank;
    w_tile.shift <= 8'(shift);
    w_tile.pair <= next_pair;
    w_tile.low <= next_block == 0 ? 8'(shift) : '0;
    w_tile.high <= tile_end > 17'(LANES_IN) ? 8'(LANES_IN) : tile_end[7:0];
  end
endmodule
`default_nettype wire
