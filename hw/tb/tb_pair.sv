// Vectors through sf_pair.
`default_nettype none
module tb_pair #(
    parameter int LANES = 8,
    parameter bit ADDS = 1
);
  localparam int BITS = 16 * LANES + 128 + 16;

  logic                  clk, valid, done;
  logic [LANES-1:0][7:0] a, b, result;
  logic [127:0]          record;
  logic [7:0]            add;

  sf_vectors #(.BITS(BITS)) u_vectors (.clk, .valid, .data({add, record, b, a}), .done);
  sf_pair #(.LANES(LANES), .ADDS(ADDS)) u_unit (.clk, .valid, .add(add[0]), .a, .b, .record, .result);
  sf_results #(.BITS(8 * LANES), .LATENCY(sf_float_pkg::PAIR_LATENCY)) u_results (.clk, .valid, .result, .done);

  wire logic unused = &{1'b0, add[7:1]};
endmodule
`default_nettype wire
