// int32 accumulators, bias included, to int8: sat(rint(float32(float32(acc) * factor)) + zero_point).
//
// Inputs are taken in the cycle of `valid`, one set a cycle; the result is there REQUANTISE_LATENCY cycles later.
`default_nettype none
module sf_requantise #(
    parameter int LANES = 8
) (
    input  wire logic                   clk,
    input  wire logic                   valid,
    input  wire logic [LANES-1:0][31:0] acc,
    input  wire logic [LANES-1:0][31:0] factor,
    input  wire logic [7:0]             zero_point,
    output logic [LANES-1:0][7:0]       result
);
  localparam int STEPS = sf_float_pkg::REQUANTISE_LATENCY;

  logic [STEPS-1:1]      moved;
  logic [STEPS-1:0]      enable;
  logic [STEPS-1:1][7:0] zero;
  assign enable = {moved, valid};
  always_ff @(posedge clk) begin
    moved <= enable[STEPS-2:0];
    for (int i = 1; i < STEPS; i++) if (enable[i-1]) zero[i] <= i == 1 ? zero_point : zero[i-1];
  end

  for (genvar lane = 0; lane < LANES; lane++) begin : gen_lane
    sf_requantise_lane u_lane (
        .clk,
        .enable,
        .acc(acc[lane]),
        .factor(factor[lane]),
        .zero_point(zero[STEPS-1]),
        .result(result[lane])
    );
  end
endmodule
`default_nettype wire
