// Vectors through sf_average_finish.
`default_nettype none
module tb_average_finish #(
    parameter int LANES = 8
);
  localparam int BITS = 32 * LANES + 56 + 8;

  logic                   clk, valid, done;
  logic [LANES-1:0][31:0] total;
  logic [15:0]            count;
  logic [31:0]            y_scale;
  logic [7:0]             y_zero;
  logic [LANES-1:0][7:0]  result;

  sf_vectors #(.BITS(BITS)) u_vectors (.clk, .valid, .data({y_zero, y_scale, count, total}), .done);
  sf_average_finish #(.LANES(LANES)) u_unit (.clk, .valid, .total, .count(count[11:0]), .y_scale, .y_zero, .result);
  sf_results #(.BITS(8 * LANES), .LATENCY(sf_float_pkg::AVERAGE_FINISH_LATENCY)) u_results (.clk, .valid, .result, .done);

  wire logic unused = &{1'b0, count[15:12]};
endmodule
`default_nettype wire
