// Vectors through sf_average_step.
`default_nettype none
module tb_average_step #(
    parameter int LANES = 8
);
  localparam int BITS = 40 * LANES + 32 + 24;

  logic                   clk, valid, done;
  logic [7:0]             first;
  logic [LANES-1:0][31:0] total, result;
  logic [LANES-1:0][7:0]  x;
  logic [7:0]             x_zero;
  logic [31:0]            x_scale;

  sf_vectors #(.BITS(BITS)) u_vectors (.clk, .valid, .data({first, x_scale, x_zero, x, total}), .done);
  sf_average_step #(.LANES(LANES)) u_unit (.clk, .valid, .first(first[0]), .total, .x, .x_zero, .x_scale, .result);
  sf_results #(.BITS(32 * LANES), .LATENCY(sf_float_pkg::AVERAGE_STEP_LATENCY)) u_results (.clk, .valid, .result, .done);

  wire logic unused = &{1'b0, first[7:1]};
endmodule
`default_nettype wire
