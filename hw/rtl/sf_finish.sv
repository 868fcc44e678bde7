`default_nettype none
// From a heavy operation's int8 result to the scratchpad: table, second operand, table, write. `lead_*` is the result's metadata
// LEAD cycles before `value`, because the residual is read in between. A result of D words takes D cycles; the caller keeps them apart.
module sf_finish
  import sf_float_pkg::*, sf_compute_pkg::*;
#(
    parameter int LANES_IN = 8,
    parameter int V = 8,
    parameter int WORDS = 2,          // scratchpad words that a vector can touch
    parameter int LEAD = WORDS + 5
) (
    input  wire logic                     clk,
    input  wire logic                     rst,
    input  wire sf_job_t                  job,
    input  wire logic                     lead_valid,
    input  wire sf_meta_t                 lead_meta,
    input  wire logic [V-1:0][7:0]        value,
    input  wire logic [LANES_IN-1:0][7:0] raw,       // `same`: the input that is the residual too, one cycle after `value`
    // Tables and constants.
    input  wire logic                     head_valid,
    input  wire logic [7:0]               head_index,
    input  wire logic [LANES_IN-1:0][7:0] head_data,
    input  wire logic [9:0]               table0_at,
    input  wire logic [9:0]               table1_at,
    input  wire logic [15:0][7:0]         binary_record,
    // Scratchpad.
    output      logic                     r_read,
    output      logic [19:0]              r_address,
    input  wire logic [LANES_IN-1:0][7:0] r_data,
    output      logic                     w_valid,
    output      logic [19:0]              w_address,
    output      logic [LANES_IN-1:0][7:0] w_data,
    output      logic [LANES_IN-1:0]      w_strobe,
    output      logic                     finished   // a vector is written
);
  localparam int SHIFT_BITS = $clog2(LANES_IN);
  localparam int META_BITS = $bits(sf_meta_t);
  localparam int WORD_BITS = WORDS > 1 ? $clog2(WORDS + 1) : 1;
  localparam int BYTES = WORDS * LANES_IN;
  logic two;
  assign two = job.binary != 0;

  // ---- the residual: words one a cycle from LEAD on
  logic [19:0] residual_address;
  logic [PLACE_LATENCY-1:0] reads;
  logic [WORD_BITS-1:0] read_left, read_words[PLACE_LATENCY];
  logic [19:0] read_next;
  logic [BYTES-1:0][7:0] arrived;
  logic [WORD_BITS-1:0] residual_words;
  assign residual_words = WORD_BITS'((9'(lead_meta.channel[SHIFT_BITS-1:0]) + 9'(lead_meta.high) + 9'(LANES_IN - 1)) >> SHIFT_BITS);

  sf_place u_residual (
      .clk, .operand(job.residual), .row(lead_meta.row), .column(lead_meta.column),
      .offset(17'(lead_meta.channel >> SHIFT_BITS)), .address(residual_address)
  );
  always_ff @(posedge clk) begin
    reads <= rst ? '0 : {reads[PLACE_LATENCY-2:0], lead_valid && two && !job.same};
    read_words[0] <= residual_words;
    for (int i = 1; i < PLACE_LATENCY; i++) read_words[i] <= read_words[i-1];
    if (rst) read_left <= '0;
    else if (reads[PLACE_LATENCY-1]) read_left <= read_words[PLACE_LATENCY-1] - 1;
    else if (read_left != 0) read_left <= read_left - 1;
    read_next <= r_address + 1;
    // Word d of WORDS has WORDS - d cycles to wait for the last one.
    if (two) arrived <= {r_data, arrived[BYTES-1:LANES_IN]};
  end
  assign r_read = reads[PLACE_LATENCY-1] || read_left != 0;
  assign r_address = reads[PLACE_LATENCY-1] ? residual_address : read_next;

  // ---- metadata: at `value` (Q), before the second operand (P = Q, or PAIR_LATENCY later), at the writer
  logic [LEAD-1:0] lead_valids;
  sf_meta_t meta_q, meta_q1, meta_late, meta_p, meta_p1, meta_p2;
  logic [PAIR_LATENCY:0] pair_valids;
  logic valid_q, valid_p, valid_p1, valid_p2;
  sf_delay #(.WIDTH(META_BITS), .CYCLES(LEAD)) u_lead (.clk, .rst, .in(lead_meta), .out(meta_q));
  sf_delay #(.WIDTH(META_BITS), .CYCLES(PAIR_LATENCY)) u_late (.clk, .rst, .in(meta_q), .out(meta_late));
  assign valid_q = lead_valids[LEAD-1];
  assign meta_p = two ? meta_late : meta_q;
  assign valid_p = two ? pair_valids[PAIR_LATENCY-1] : valid_q;
  always_ff @(posedge clk) begin
    lead_valids <= rst ? '0 : {lead_valids[LEAD-2:0], lead_valid};
    pair_valids <= rst ? '0 : {pair_valids[PAIR_LATENCY-1:0], valid_q && two};
    meta_q1 <= meta_q;
    meta_p1 <= meta_p;
    meta_p2 <= meta_p1;
    valid_p1 <= valid_p && !rst;
    valid_p2 <= valid_p1 && !rst;
  end

  // ---- table, second operand, table
  logic [V-1:0][7:0] looked_0, residual, paired, combined, looked_1;
  sf_lookup #(.LANES_IN(LANES_IN), .LANES(V)) u_table0 (
      .clk, .head_valid, .head_index, .head_data, .at(table0_at), .valid(valid_q), .enable(job.has_table0), .value,
      .result(looked_0)
  );
  logic [BYTES-1:0][7:0] aligned;
  assign aligned = arrived >> {meta_q1.channel[SHIFT_BITS-1:0], 3'd0};
  always_comb begin
    residual = '0;
    if (job.same) begin
      residual[LANES_IN-1:0] = raw;
    end else begin
      residual = aligned[V-1:0];
    end
  end
  sf_pair #(.LANES(V), .ADDS(1'b1)) u_pair (
      .clk, .valid(pair_valids[0]), .add(job.binary == 2'd1), .a(job.swapped ? residual : looked_0),
      .b(job.swapped ? looked_0 : residual), .record(binary_record), .result(paired)
  );
  assign combined = two ? paired : looked_0;
  sf_lookup #(.LANES_IN(LANES_IN), .LANES(V)) u_table1 (
      .clk, .head_valid, .head_index, .head_data, .at(table1_at), .valid(valid_p1), .enable(job.has_table1),
      .value(combined), .result(looked_1)
  );

  // ---- the writer
  logic [19:0] out_address, write_next;
  logic [BYTES-1:0][7:0] data;
  logic [BYTES-1:0] strobe;
  logic [WORD_BITS-1:0] write_left;
  logic loaded;
  sf_place u_out (
      .clk, .operand(job.out), .row(meta_p.row), .column(meta_p.column), .offset(meta_p.out_byte >> SHIFT_BITS),
      .address(out_address)
  );
  always_ff @(posedge clk) begin
    loaded <= valid_p2 && !rst;
    if (valid_p2) begin
      data <= (8 * BYTES)'(looked_1) << {meta_p2.out_byte[SHIFT_BITS-1:0], 3'd0};
      strobe <= BYTES'(lanes) << meta_p2.out_byte[SHIFT_BITS-1:0];
      write_left <= WORD_BITS'((9'(meta_p2.out_byte[SHIFT_BITS-1:0]) + 9'(meta_p2.high) + 9'(LANES_IN - 1)) >> SHIFT_BITS);
    end else if (write_left != 0) begin
      write_left <= write_left - 1;
      data <= data >> (8 * LANES_IN);
      strobe <= strobe >> LANES_IN;
    end
    if (rst) write_left <= '0;
    write_next <= w_address + 1;
  end
  logic [V-1:0] lanes;
  assign lanes = lanes_below(meta_p2.high) & ~lanes_below(meta_p2.low);
  function automatic logic [V-1:0] lanes_below(input logic [7:0] lane);
    for (int i = 0; i < V; i++) lanes_below[i] = i < 32'(lane);
  endfunction
  assign w_address = loaded ? out_address : write_next;
  assign w_data = data[LANES_IN-1:0];
  assign w_strobe = strobe[LANES_IN-1:0];
  assign w_valid = write_left != 0 && |w_strobe;
  assign finished = write_left == 1;
endmodule
`default_nettype wire
