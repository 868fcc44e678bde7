// Vectors through sf_requantise.
`default_nettype none
module tb_requantise #(
    parameter int LANES = 8
);
  localparam int BITS = 64 * LANES + 16;

  logic                   clk, valid, done;
  logic [LANES-1:0][31:0] acc, factor;
  logic [7:0]             zero_point;
  logic [LANES-1:0][7:0]  result;

  sf_vectors #(.BITS(BITS)) u_vectors (.clk, .valid, .data({zero_point, factor, acc}), .done);
  sf_requantise #(.LANES(LANES)) u_unit (.clk, .valid, .acc, .factor, .zero_point, .result);
  sf_results #(.BITS(8 * LANES), .LATENCY(sf_float_pkg::REQUANTISE_LATENCY)) u_results (.clk, .valid, .result, .done);
endmodule
`default_nettype wire
