// One element of every window of an average: float32(total + float32(float32(x - x_zero) * x_scale)), total 0 on `first`.
//
// Exact for scales from 2**-100 to 2**100: there a total that is not zero is a normal number (all terms are multiples of
// x_scale's last place), and 4,095 terms do not overflow.
// Inputs are taken in the cycle of `valid`, one set a cycle; the result is there AVERAGE_STEP_LATENCY cycles later.
`default_nettype none
module sf_average_step #(
    parameter int LANES = 8
) (
    input  wire logic                   clk,
    input  wire logic                   valid,
    input  wire logic                   first,
    input  wire logic [LANES-1:0][31:0] total,
    input  wire logic [LANES-1:0][7:0]  x,
    input  wire logic [7:0]             x_zero,
    input  wire logic [31:0]            x_scale,
    output logic [LANES-1:0][31:0]      result
);
  localparam int STEPS = sf_float_pkg::AVERAGE_STEP_LATENCY;

  logic [STEPS-1:1]         moved;
  logic [STEPS-1:0]         enable;
  sf_float_pkg::sf_factor_t scale_1;
  assign enable = {moved, valid};
  always_ff @(posedge clk) begin
    moved <= enable[STEPS-2:0];
    if (valid) scale_1 <= sf_float_pkg::unpack_factor(x_scale);
  end

  for (genvar lane = 0; lane < LANES; lane++) begin : gen_lane
    sf_average_step_lane u_lane (
        .clk,
        .enable,
        .first,
        .total(total[lane]),
        .x(x[lane]),
        .x_zero,
        .x_scale_1(scale_1),
        .result(result[lane])
    );
  end
endmodule
`default_nettype wire
