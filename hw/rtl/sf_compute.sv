`default_nettype none
// The compute engine: takes instructions, runs one COMPUTE at a time through a pipeline without stalls.
//
//   cycle after the schedule's   what
//   0                            pixel, kernel position, word of channels
//   4                            address of the input (and channel scale): scratchpad read
//   7                            input byte lanes; channel scale, if any, PAIR_LATENCY more: cycle M
//   M                            input meets weights (read in M - 3)
//   M + 3                        sum; M + 4 bias added; M + 4 + REQUANTISE_LATENCY int8: cycle Q
//   Q ...                        sf_finish: table, second operand, table, write
//
// An average takes AVERAGE_STEP_LATENCY + AVERAGE_FINISH_LATENCY instead of the requantiser's way.
module sf_compute
  import sf_isa_pkg::*, sf_pkg::*, sf_registers_pkg::*, sf_float_pkg::*, sf_compute_pkg::*;
#(
    parameter int LANES_IN = 8,
    parameter int LANES_OUT = 8,
    parameter int ACC_PIXELS = 64,
    parameter bit PAIRED = 1
) (
    input  wire logic                     clk,
    input  wire logic                     rst,
    input  wire logic                     halt,
    input  wire logic                     issue_valid,
    input  wire sf_issue_t                issue,
    output      logic                     issue_ready,
    output      logic                     take_valid,
    output      logic [1:0][15:0]         take,
    input  wire logic                     take_ready,
    output      logic                     give_valid,
    output      logic [1:0][15:0]         give,
    output      logic                     busy,
    output      logic                     idle,
    output      logic                     retire,
    output      logic [19:0]              trace_index,
    output      logic                     fault,
    output      logic [7:0]               fault_code,
    output      logic [19:0]              fault_index,
    // Scratchpad: input, channel scale, residual, weights; parameters; output.
    output      logic [3:0]               c_read,
    output      logic [3:0][19:0]         c_address,
    input  wire logic [3:0][LANES_IN-1:0][7:0] c_data,
    output      logic                     p_valid,
    input  wire logic                     p_ready,
    output      logic [19:0]              p_address,
    input  wire logic                     p_data_valid,
    input  wire logic [LANES_IN-1:0][7:0] p_data,
    output      logic                     w_valid,
    output      logic [19:0]              w_address,
    output      logic [LANES_IN-1:0][7:0] w_data,
    output      logic [LANES_IN-1:0]      w_strobe
);
  localparam int V = LANES_IN > LANES_OUT ? LANES_IN : LANES_OUT;
  localparam int WORDS = V / LANES_IN + 1;
  localparam int LEAD = WORDS + 5;
  localparam int META_BITS = $bits(sf_meta_t);
  localparam int TILE_BITS = $bits(sf_tile_t);
  localparam int X_AT = 1 + PLACE_LATENCY + READ_LATENCY;
  localparam int Q_AT = 4 + REQUANTISE_LATENCY;  // after M

  // ---- instructions
  sf_job_t prepared, job;
  logic prepared_valid, prepared_work, prepared_sync, syncs, taken, prepare_idle, prepare_fault;
  logic [1:0][15:0] prepared_take, prepared_give;
  logic [19:0] prepared_index, prepare_fault_index;
  sf_error_t prepare_code;
  sf_compute_prepare #(.LANES_IN(LANES_IN), .LANES_OUT(LANES_OUT)) u_prepare (
      .clk, .rst, .halt, .issue_valid, .issue, .issue_ready, .valid(prepared_valid), .taken, .work(prepared_work),
      .is_sync(prepared_sync), .job(prepared), .take(prepared_take), .give(prepared_give), .index(prepared_index), .idle(prepare_idle),
      .fault(prepare_fault), .fault_code(prepare_code), .fault_index(prepare_fault_index)
  );

  typedef enum logic [1:0] {IDLE, EMPTY, RUN} sf_state_t;
  sf_state_t state;
  logic start, done, running, parameter_fault, mean_fault;
  logic [15:0] mean_rows;  // rows that the sums of the mean hold
  logic [19:0] mean_base;
  assign take_valid = state == IDLE && prepared_valid && !halt;
  assign take = prepared_take;
  assign taken = take_valid && take_ready;
  assign busy = state != IDLE && !syncs;
  assign idle = prepare_idle && state == IDLE && !prepared_valid;
  assign retire = state == EMPTY || (state == RUN && done);
  assign give_valid = retire && !halt;
  assign mean_fault = start && job.mean && !job.first_band && (mean_rows != job.x_first || mean_base != job.x.base);
  always_ff @(posedge clk) begin
    start <= !rst && taken && prepared_work;
    if (rst) begin
      state <= IDLE;
    end else begin
      case (state)
        IDLE: if (taken) state <= prepared_work ? RUN : EMPTY;
        EMPTY: state <= IDLE;
        RUN: if (done || halt) state <= IDLE;
        default: state <= IDLE;
      endcase
    end
    if (taken) begin
      job <= prepared;
      give <= prepared_give;
      trace_index <= prepared_index;
      syncs <= prepared_sync;
    end
    if (start && job.mean) begin
      mean_rows <= job.x_first + 16'(job.mean_rows);
      mean_base <= job.x.base;
    end
  end
  always_ff @(posedge clk) begin
    fault <= !rst && (prepare_fault || parameter_fault || mean_fault);
    fault_code <= mean_fault ? ERROR_MEAN_ORDER : (parameter_fault ? ERROR_PARAMETER : prepare_code);
    fault_index <= mean_fault || parameter_fault ? trace_index : prepare_fault_index;
  end

  // ---- constants
  logic head_valid, head_ready, release_set;
  logic [7:0] head_index;
  logic [LANES_IN-1:0][7:0] head_data;
  logic [9:0] table0_at, table1_at;
  logic [15:0][7:0] binary_record, scale_record, average_record;
  logic [15:0] sets_fetched;
  logic [1:0] set;
  logic [V-1:0][31:0] bias, factor;
  sf_parameters #(.LANES_IN(LANES_IN), .LANES_OUT(LANES_OUT), .ACC_PIXELS(ACC_PIXELS), .V(V)) u_parameters (
      .clk, .rst(rst || halt), .start, .job, .p_valid, .p_ready, .p_address, .p_data_valid, .p_data, .head_valid, .head_index, .head_data,
      .head_ready, .table0_at, .table1_at, .binary_record, .scale_record, .average_record, .sets_fetched, .release_set,
      .set, .bias, .factor, .fault(parameter_fault)
  );

  // ---- schedule
  logic valid, w_read, in_map;
  sf_meta_t meta;
  logic signed [23:0] in_row;
  logic signed [17:0] in_column;
  logic [16:0] x_word;
  logic [19:0] weights_address;
  sf_tile_t tile;
  sf_compute_schedule #(
      .LANES_IN(LANES_IN), .LANES_OUT(LANES_OUT), .ACC_PIXELS(ACC_PIXELS), .AVERAGE_INTERVAL(AVERAGE_INTERVAL)
  ) u_schedule (
      .clk, .rst(rst || halt), .start, .job, .head_ready, .sets_fetched, .running, .valid, .meta, .in_row, .in_column, .x_word,
      .w_valid(w_read), .w_address(weights_address), .w_tile(tile)
  );

  // ---- input and channel scale
  logic [X_AT-1:0] valids;
  logic [X_AT-2:0] insides;
  logic [15:0] row_1, column_1;
  logic [16:0] x_word_1;
  logic [19:0] scale_2, scale_3, scale_4;
  sf_meta_t meta_x;
  logic [LANES_IN-1:0][7:0] x_raw, x_scaled;
  assign in_map = in_row >= 0 && in_row < $signed({8'd0, job.x_height}) && in_column >= 0 &&
      in_column < $signed({2'd0, job.x_width});
  always_ff @(posedge clk) begin
    valids <= rst ? '0 : {valids[X_AT-2:0], valid};
    insides <= {insides[X_AT-3:0], in_map};
    row_1 <= 16'(in_row) - job.x_first;
    column_1 <= 16'(in_column);
    x_word_1 <= x_word;
    scale_2 <= job.scale + 20'(x_word_1);
    scale_3 <= scale_2;
    scale_4 <= scale_3;
  end
  sf_place u_input (.clk, .operand(job.x), .row(row_1), .column(column_1), .offset(x_word_1), .address(c_address[0]));
  assign c_read[0] = valids[PLACE_LATENCY] && insides[PLACE_LATENCY];
  assign c_address[1] = scale_4;
  assign c_read[1] = valids[PLACE_LATENCY] && job.has_scale;
  sf_delay #(.WIDTH(META_BITS), .CYCLES(X_AT)) u_meta_x (.clk, .rst, .in(meta), .out(meta_x));

  logic inside_x;
  always_ff @(posedge clk) inside_x <= insides[X_AT-2];
  assign x_raw = c_data[0];
  sf_pair #(.LANES(LANES_IN), .ADDS(1'b0)) u_scale (
      .clk, .valid(valids[X_AT-1] && job.has_scale), .add(1'b0), .a(x_raw), .b(c_data[1]),
      .record({8'd0, scale_record[6:4], 64'd0, scale_record[3:0]}), .result(x_scaled)
  );

  // ---- cycle M
  localparam int HALF = LANES_IN / 2;
  logic [PAIR_LATENCY-1:0] scaled_valids;
  logic inside_scaled, m_valid, m_pixel, m_inside;
  sf_meta_t meta_scaled, m_meta;
  logic [LANES_IN-1:0][7:0] m_x, m_lanes;
  logic [HALF-1:0][7:0] m_before;  // the input before this one
  sf_delay #(.WIDTH(META_BITS + 1), .CYCLES(PAIR_LATENCY)) u_meta_scaled (
      .clk, .rst, .in({inside_x, meta_x}), .out({inside_scaled, meta_scaled})
  );
  always_ff @(posedge clk) scaled_valids <= rst ? '0 : {scaled_valids[PAIR_LATENCY-2:0], valids[X_AT-1] && job.has_scale};
  assign m_valid = job.has_scale ? scaled_valids[PAIR_LATENCY-1] : valids[X_AT-1];
  assign m_meta = job.has_scale ? meta_scaled : meta_x;
  assign m_inside = job.has_scale ? inside_scaled : inside_x;
  assign m_x = !m_inside ? {LANES_IN{job.pad_value}} : (job.has_scale ? x_scaled : x_raw);

  always_ff @(posedge clk) if (m_valid && job.pair != 0) m_before <= m_x[HALF-1:0];
  assign m_lanes = m_meta.pair ? {m_x[HALF-1:0], m_before} : m_x;
  assign m_pixel = m_valid && !m_meta.prime;

  // ---- weights: address in cycle 0, read in M - READ_LATENCY, there in M
  localparam int W_AT = X_AT - READ_LATENCY;
  logic [W_AT-1:0] w_reads;
  logic [PAIR_LATENCY-1:0] w_reads_scaled;
  logic [19:0] w_address_4, w_address_scaled;
  sf_tile_t tile_4, tile_scaled, tile_m;
  logic w_reading, tile_valid;
  logic [READ_LATENCY-1:0] w_arriving;
  logic [LANES_IN-1:0][7:0] w_before, row_data;
  sf_delay #(.WIDTH(20 + TILE_BITS), .CYCLES(W_AT)) u_weights (
      .clk, .rst, .in({weights_address, tile}), .out({w_address_4, tile_4})
  );
  sf_delay #(.WIDTH(20 + TILE_BITS), .CYCLES(PAIR_LATENCY)) u_weights_scaled (
      .clk, .rst, .in({w_address_4, tile_4}), .out({w_address_scaled, tile_scaled})
  );
  sf_delay #(.WIDTH(TILE_BITS), .CYCLES(READ_LATENCY)) u_tile (
      .clk, .rst, .in(job.has_scale ? tile_scaled : tile_4), .out(tile_m)
  );
  always_ff @(posedge clk) begin
    w_reads <= rst ? '0 : {w_reads[W_AT-2:0], w_read};
    w_reads_scaled <= rst ? '0 : {w_reads_scaled[PAIR_LATENCY-2:0], w_reads[W_AT-1] && job.has_scale};
    w_arriving <= rst ? '0 : {w_arriving[READ_LATENCY-2:0], w_reading};
    if (w_arriving[READ_LATENCY-1] && !tile_m.row_valid) w_before <= c_data[3];
  end
  assign w_reading = job.has_scale ? w_reads_scaled[PAIR_LATENCY-1] : w_reads[W_AT-1];
  assign c_read[3] = w_reading && (job.has_scale ? tile_scaled.read : tile_4.read);
  assign c_address[3] = job.has_scale ? w_address_scaled : w_address_4;
  assign tile_valid = w_arriving[READ_LATENCY-1] && tile_m.row_valid;
  logic [2*LANES_IN-1:0][7:0] row_pair;
  assign row_pair = {c_data[3], w_before} >> {8'(LANES_IN) - tile_m.shift, 3'd0};
  always_comb begin
    row_data = c_data[3];
    if (tile_m.shift != 0) row_data = row_pair[LANES_IN-1:0];
    if (tile_m.pair) row_data = {c_data[3][HALF-1:0], w_before[HALF-1:0]};
    for (int i = 0; i < LANES_IN; i++) begin
      if (i < 32'(tile_m.low) || (tile_m.pair ? i % HALF : i) >= 32'(tile_m.high)) row_data[i] = '0;
    end
  end

  // ---- the heavy operation
  logic sum_valid, sum_end, total_valid;
  logic [V-1:0][31:0] sum, total;
  logic [11:0] count;
  sf_accumulate #(
      .LANES_IN(LANES_IN), .LANES_OUT(LANES_OUT), .ACC_PIXELS(ACC_PIXELS), .V(V), .PAIRED(PAIRED)
  ) u_accumulate (
      .clk, .rst, .job, .valid(m_pixel), .meta(m_meta), .in_map(m_inside), .x(m_lanes), .weights(c_data[3]),
      .row_valid(tile_valid), .row_bank(tile_m.bank), .row(tile_m.row), .row_data, .x_zero(average_record[8]),
      .x_scale(average_record[3:0]), .sum_valid, .sum_end, .sum, .total_valid, .total, .count
  );

  // ---- int8: bias and requantiser, or the value itself, or the average's divisions
  sf_meta_t meta_sum, meta_lead, meta_total, meta_average;
  logic [V-1:0][31:0] biased, factors;
  logic biased_valid;
  logic [V-1:0][7:0] requantised, unchanged, averaged, averaged_q, value, sum_bytes;
  sf_delay #(.WIDTH(META_BITS), .CYCLES(MAC_LATENCY + 1)) u_meta_sum (.clk, .rst, .in(m_meta), .out(meta_sum));
  assign set = meta_sum.set;
  assign release_set = sum_valid && meta_sum.vector_end && job.weighted;
  always_ff @(posedge clk) begin
    biased_valid <= sum_valid && !rst;
    if (sum_valid && job.requantised) begin
      for (int i = 0; i < V; i++) biased[i] <= sum[i] + bias[i];
      factors <= factor;
    end
  end
  sf_requantise #(.LANES(V)) u_requantise (
      .clk, .valid(biased_valid && job.requantised), .acc(biased), .factor(factors), .zero_point(job.out_zero),
      .result(requantised)
  );
  always_comb for (int i = 0; i < V; i++) sum_bytes[i] = sum[i][7:0];
  sf_delay #(.WIDTH(8 * V), .CYCLES(1 + REQUANTISE_LATENCY)) u_unchanged (.clk, .rst, .in(sum_bytes), .out(unchanged));

  sf_average_finish #(.LANES(LANES_IN)) u_average (
      .clk, .valid(total_valid), .total(total[LANES_IN-1:0]), .count, .y_scale(average_record[7:4]),
      .y_zero(average_record[9]), .result(averaged[LANES_IN-1:0])
  );
  if (V > LANES_IN) begin : g_averaged
    assign averaged[V-1:LANES_IN] = '0;
  end
  logic [AVERAGE_FINISH_LATENCY-1:0] averages;
  localparam int TOTAL_AT = 2 + AVERAGE_STEP_LATENCY;
  sf_delay #(.WIDTH(META_BITS), .CYCLES(TOTAL_AT)) u_meta_total (.clk, .rst, .in(m_meta), .out(meta_total));
  sf_delay #(.WIDTH(META_BITS), .CYCLES(AVERAGE_FINISH_LATENCY)) u_meta_average (
      .clk, .rst, .in(meta_total), .out(meta_average)
  );
  sf_delay #(.WIDTH(8 * V), .CYCLES(LEAD)) u_averaged (.clk, .rst, .in(averaged), .out(averaged_q));
  always_ff @(posedge clk) averages <= rst ? '0 : {averages[AVERAGE_FINISH_LATENCY-2:0], total_valid};

  // The finish learns of a result LEAD cycles before it is there.
  localparam int LEAD_AT = Q_AT - LEAD;
  logic lead_valid;
  sf_meta_t meta_regular;
  logic [Q_AT-1:0] results;
  logic m_result;
  assign m_result = m_pixel && !job.average && (job.mean ? m_meta.vector_end && job.final_band : m_meta.last);
  always_ff @(posedge clk) results <= rst ? '0 : {results[Q_AT-2:0], m_result};
  if (LEAD_AT == 0) begin : g_lead_0
    assign meta_regular = m_meta;
  end else if (LEAD_AT == 1) begin : g_lead_1
    always_ff @(posedge clk) meta_regular <= m_meta;
  end else begin : g_lead
    sf_delay #(.WIDTH(META_BITS), .CYCLES(LEAD_AT)) u_meta_lead (.clk, .rst, .in(m_meta), .out(meta_regular));
  end
  assign meta_lead = job.average ? meta_average : meta_regular;
  if (LEAD_AT == 0) begin : g_valid_0
    assign lead_valid = job.average ? averages[AVERAGE_FINISH_LATENCY-1] : m_result;
  end else begin : g_valid
    assign lead_valid = job.average ? averages[AVERAGE_FINISH_LATENCY-1] : results[LEAD_AT-1];
  end
  assign value = job.average ? averaged_q : (job.requantised ? requantised : unchanged);

  // ---- an input that is its own residual: one cycle after `value`, unscaled
  logic [LANES_IN-1:0][7:0] raw, raw_scaled, value_q;
  sf_delay #(.WIDTH(8 * LANES_IN), .CYCLES(PAIR_LATENCY + Q_AT + 1)) u_raw (.clk, .rst, .in(x_raw), .out(raw_scaled));
  always_ff @(posedge clk) if (job.same) value_q <= value[LANES_IN-1:0];
  assign raw = job.has_scale ? raw_scaled : value_q;

  logic finished;
  sf_finish #(.LANES_IN(LANES_IN), .V(V), .WORDS(WORDS), .LEAD(LEAD)) u_finish (
      .clk, .rst, .job, .lead_valid, .lead_meta(meta_lead), .value, .raw, .head_valid, .head_index, .head_data, .table0_at,
      .table1_at, .binary_record, .r_read(c_read[2]), .r_address(c_address[2]), .r_data(c_data[2]), .w_valid, .w_address,
      .w_data, .w_strobe, .finished
  );

  // ---- done when all that was begun is written
  logic [9:0] outstanding;
  logic begun, ended;
  assign begun = valid && !meta.prime && (job.mean ? meta.vector_end : meta.last);
  assign ended = finished || (sum_end && !job.final_band);
  always_ff @(posedge clk) begin
    if (rst || start) outstanding <= '0;
    else outstanding <= outstanding + 10'(begun) - 10'(ended);
  end
  assign done = !start && !running && !valid && outstanding == 0;
endmodule
`default_nettype wire
