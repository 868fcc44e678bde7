// Vectors through sf_lookup: a word of the head, lookups, or both in one cycle.
`default_nettype none
module tb_lookup #(
    parameter int LANES_IN = 8,
    parameter int LANES = 8
);
  localparam int BITS = 8 * LANES_IN + 8 * LANES + 40;

  logic                     clk, valid, done;
  logic [LANES_IN-1:0][7:0] head_data;
  logic [LANES-1:0][7:0]    value, result;
  logic [7:0]               head_index, flags;
  logic [15:0]              at;

  sf_vectors #(.BITS(BITS)) u_vectors (.clk, .valid, .data({flags, at, head_index, value, head_data}), .done);
  sf_lookup #(.LANES_IN(LANES_IN), .LANES(LANES)) u_unit (
      .clk, .head_valid(valid && flags[0]), .head_index, .head_data, .at(at[9:0]), .valid(valid && flags[1]), .enable(flags[2]), .value,
      .result
  );
  sf_results #(.BITS(8 * LANES), .LATENCY(1)) u_results (.clk, .valid, .result, .done);

  wire logic unused = &{1'b0, flags[7:3], at[15:10]};
endmodule
`default_nettype wire
