// Totals of windows to int8: sat(rint(float32(float32(float32(total / count) / y_scale) + y_zero))).
//
// Exact for totals that are 0 or normal and y_scale from 2**-100: a first quotient below 2**-126 then ends below 2**-25, where
// the sum with an integer does not see what underflow would have made of it.
// Inputs are taken in the cycle of `valid`, at most once in AVERAGE_INTERVAL cycles; eight lanes share two dividers, which take
// a lane a cycle. All results are there together AVERAGE_FINISH_LATENCY cycles after `valid`, for one cycle.
`default_nettype none
module sf_average_finish #(
    parameter int LANES = 8  // a multiple of 8
) (
    input  wire logic                   clk,
    input  wire logic                   valid,
    input  wire logic [LANES-1:0][31:0] total,
    input  wire logic [11:0]            count,
    input  wire logic [31:0]            y_scale,
    input  wire logic [7:0]             y_zero,
    output logic [LANES-1:0][7:0]       result
);
  import sf_float_pkg::*;
  localparam int SHARE = AVERAGE_INTERVAL;
  localparam int SECOND = DIVIDE_LATENCY;    // steps before the second divider
  localparam int THIRD = 2 * DIVIDE_LATENCY; // steps before the zero point
  localparam int STEPS = THIRD + BYTE_LATENCY + 1;

  if (LANES % SHARE != 0) begin : gen_refused
    $fatal(1, "LANES is %0d, not a multiple of 8", LANES);
  end

  logic [THIRD:1]   started;  // bit k: a set came k cycles ago
  logic [2:0]       turn;     // which lane of eight the first divider takes
  logic             running;
  logic [STEPS-1:1] moved;
  logic [STEPS-1:0] enable;
  assign enable = {moved, running};
  always_ff @(posedge clk) begin
    started <= {started[THIRD-1:1], valid};
    moved <= enable[STEPS-2:0];
    turn <= valid ? 3'd0 : turn + 3'd1;
    if (valid) running <= 1'b1;
    else if (turn == 3'd7) running <= 1'b0;
  end

  // Constants wait for their use in hops of at most eight cycles: the next set's come no sooner. (8 < DIVIDE_LATENCY <= 16.)
  logic [5:0]      zeros;
  logic [11:0]     normal_count;
  logic [51:0]     unused_zeros;
  sf_float_t       divisor;
  logic [3:0][7:0] zero_hop;
  logic [7:0]      zero;
  logic [31:0]     scale_hop_0, scale_hop_1;
  sf_float_t       scale;
  always_comb normalise(1'b0, {count, 52'd0}, {normal_count, unused_zeros}, zeros);
  always_ff @(posedge clk) begin
    if (valid) begin
      divisor.sign <= 1'b0;
      divisor.exponent <= 10'sd11 - signed'(10'(zeros));
      divisor.mantissa <= {normal_count, 12'd0};
      scale_hop_0 <= y_scale;
      zero_hop[0] <= y_zero;
    end
    if (started[SHARE]) begin
      scale_hop_1 <= scale_hop_0;
      zero_hop[1] <= zero_hop[0];
    end
    if (started[SECOND]) begin
      scale <= unpack_float(scale_hop_1);
      zero_hop[2] <= zero_hop[1];
    end
    if (started[SECOND+SHARE]) zero_hop[3] <= zero_hop[2];
    if (started[THIRD]) zero <= zero_hop[3];
  end

  for (genvar group = 0; group < LANES / SHARE; group++) begin : gen_group
    sf_average_finish_group u_group (
        .clk,
        .valid,
        .enable,
        .total(total[group*SHARE+:SHARE]),
        .count(divisor),
        .y_scale(scale),
        .y_zero(zero),
        .result(result[group*SHARE+:SHARE])
    );
  end
endmodule
`default_nettype wire
