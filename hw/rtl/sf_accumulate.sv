`default_nettype none
// The heavy operation on one word of input a cycle. Takes x and weights in cycle M. Sums live in an accumulator for each pixel of the
// chunk; a vector's last pass hands them on. CONV, DEPTHWISE, MAX_POOL, COPY, RESIZE and a mean's total appear on `sum` in cycle
// M + 3, an average in float32 on `total` in cycle M + 2 + AVERAGE_STEP_LATENCY.
module sf_accumulate
  import sf_isa_pkg::*, sf_float_pkg::*, sf_compute_pkg::*;
#(
    parameter int LANES_IN = 8,
    parameter int LANES_OUT = 8,
    parameter int ACC_PIXELS = 64,
    parameter int V = 8,
    parameter bit PAIRED = 1
) (
    input  wire logic                     clk,
    input  wire logic                     rst,
    input  wire sf_job_t                  job,
    input  wire logic                     valid,
    input  wire sf_meta_t                 meta,
    input  wire logic                     in_map,   // not padding
    input  wire logic [LANES_IN-1:0][7:0] x,
    input  wire logic [LANES_IN-1:0][7:0] weights,  // DEPTHWISE
    input  wire logic                     row_valid,  // CONV: a row of the next tile
    input  wire logic                     row_bank,
    input  wire logic [7:0]               row,
    input  wire logic [LANES_IN-1:0][7:0] row_data,
    input  wire logic [7:0]               x_zero,   // AVERAGE_POOL
    input  wire logic [31:0]              x_scale,
    output      logic                     sum_valid,  // of a vector's last pass
    output      logic                     sum_end,    // a mean's band is summed; its total may not be final
    output      logic [V-1:0][31:0]       sum,
    output      logic                     total_valid,
    output      logic [V-1:0][31:0]       total,
    output      logic [11:0]              count
);
  localparam int PIXEL_BITS = ACC_PIXELS > 1 ? $clog2(ACC_PIXELS) : 1;
  localparam int MEAN_WORDS = MEAN_CHANNELS / LANES_IN;
  localparam int MEAN_BITS = $clog2(MEAN_WORDS);

  logic [2:0] valids;
  sf_meta_t meta_1, meta_2;
  logic [LANES_IN-1:0][7:0] x_1, x_2;
  logic inside_1, inside_2;
  logic signed [LANES_IN-1:0][15:0] products_1, products_2;
  logic [LANES_OUT-1:0][31:0] dots;

  sf_mac_array #(.LANES_IN(LANES_IN), .LANES_OUT(LANES_OUT), .PAIRED(PAIRED)) u_array (
      .clk, .valid(valid && job.conv), .bank(meta.bank), .x, .row_valid, .row_bank, .row, .row_data, .result(dots)
  );

  always_ff @(posedge clk) begin
    valids <= rst ? '0 : {valids[1:0], valid};
    if (valid) begin
      meta_1 <= meta;
      inside_1 <= in_map;
      if (!job.conv) begin
        x_1 <= x;
        for (int i = 0; i < LANES_IN; i++) products_1[i] <= 16'($signed(x[i])) * 16'($signed(weights[i]));
      end
    end
    if (valids[0]) begin
      meta_2 <= meta_1;
      inside_2 <= inside_1;
      x_2 <= x_1;
      products_2 <= products_1;
    end
  end

  // ---- accumulators: read in M + 1, there in M + 2, written at the end of M + 3 (average: later)
  logic [V-1:0][31:0] accumulators[ACC_PIXELS];
  logic [V-1:0][31:0] held, next;
  logic [PIXEL_BITS-1:0] write_pixel, pixel_3;
  logic [V-1:0][31:0] write_data, average;
  logic write_valid, accumulate, average_valid, average_last;
  logic [PIXEL_BITS-1:0] average_pixel;

  always_ff @(posedge clk) begin
    if (valids[0] && !meta_1.first) held <= accumulators[meta_1.pixel[PIXEL_BITS-1:0]];
    if (write_valid) accumulators[write_pixel] <= write_data;
  end
  assign write_valid = job.average ? average_valid && !average_last : valids[2] && accumulate;
  assign write_pixel = job.average ? average_pixel : pixel_3;
  assign write_data = job.average ? average : sum;

  // ---- a mean's sums, by word of channels
  logic [LANES_IN-1:0][31:0] sums[MEAN_WORDS];
  logic [LANES_IN-1:0][31:0] sums_held, running, mean_next;
  logic [MEAN_BITS-1:0] mean_word;
  assign mean_word = MEAN_BITS'(meta_1.channel / LANES_IN);
  always_ff @(posedge clk) begin
    if (valids[0] && job.mean && meta_1.pass_start) sums_held <= sums[mean_word];
    if (valids[1] && job.mean) begin
      running <= mean_next;
      if (meta_2.vector_end) sums[MEAN_BITS'(meta_2.channel / LANES_IN)] <= mean_next;
    end
  end
  always_comb begin
    for (int i = 0; i < LANES_IN; i++) begin
      mean_next[i] = 32'($signed(x_2[i]));
      if (!meta_2.pass_start) mean_next[i] += running[i];
      else if (!job.first_band) mean_next[i] += sums_held[i];
    end
  end

  always_comb begin
    next = '0;
    case (job.kind)
      KIND_CONV: begin
        for (int i = 0; i < LANES_OUT; i++) next[i] = (meta_2.first ? '0 : held[i]) + dots[i];
      end
      KIND_DEPTHWISE: begin
        for (int i = 0; i < LANES_IN; i++) begin
          next[i] = (meta_2.first ? '0 : held[i]) + 32'($signed(products_2[i]));
        end
      end
      KIND_MAX_POOL: begin
        for (int i = 0; i < LANES_IN; i++) begin
          next[i] = 32'($signed(x_2[i]));
          if (!meta_2.first && $signed(held[i]) > $signed(next[i])) next[i] = held[i];
        end
      end
      KIND_GLOBAL_MEAN: next[LANES_IN-1:0] = mean_next;
      default: begin
        for (int i = 0; i < LANES_IN; i++) next[i] = 32'($signed(x_2[i]));
      end
    endcase
  end

  always_ff @(posedge clk) begin
    sum_valid <= !rst && valids[1] && !job.average && (job.mean ? meta_2.vector_end && job.final_band : meta_2.last);
    sum_end <= !rst && valids[1] && job.mean && meta_2.vector_end;
    if (valids[1]) begin
      accumulate <= !meta_2.last;
      pixel_3 <= meta_2.pixel[PIXEL_BITS-1:0];
      sum <= next;
    end
  end

  // ---- averages
  logic [LANES_IN-1:0][31:0] stepped;
  logic [11:0] counts[ACC_PIXELS];
  logic [11:0] count_held, count_next, count_2;
  logic [AVERAGE_STEP_LATENCY-1:0] steps;
  logic [PIXEL_BITS+12:0] step_tag, step_tag_in;

  sf_average_step #(.LANES(LANES_IN)) u_step (
      .clk, .valid(valids[1] && job.average), .first(meta_2.first), .total(held[LANES_IN-1:0]), .x(x_2), .x_zero, .x_scale,
      .result(stepped)
  );
  always_ff @(posedge clk) begin
    if (valids[0] && job.average) count_held <= counts[meta_1.pixel[PIXEL_BITS-1:0]];
    if (valids[1] && job.average) counts[meta_2.pixel[PIXEL_BITS-1:0]] <= count_next;
    steps <= rst ? '0 : {steps[AVERAGE_STEP_LATENCY-2:0], valids[1] && job.average};
  end
  assign count_next = (meta_2.first ? '0 : count_held) + 12'(inside_2);
  assign count_2 = job.include_pad ? job.positions : (count_next == 0 ? 12'd1 : count_next);
  assign step_tag_in = {count_2, meta_2.last, meta_2.pixel[PIXEL_BITS-1:0]};
  sf_delay #(.WIDTH(PIXEL_BITS + 13), .CYCLES(AVERAGE_STEP_LATENCY)) u_tag (.clk, .rst, .in(step_tag_in), .out(step_tag));
  assign average_valid = steps[AVERAGE_STEP_LATENCY-1];
  assign {count, average_last, average_pixel} = step_tag;
  always_comb begin
    average = '0;
    average[LANES_IN-1:0] = stepped;
  end
  assign total = average;
  assign total_valid = average_valid && average_last;
endmodule
`default_nettype wire
