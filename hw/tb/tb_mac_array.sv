// Vectors through sf_mac_array: a row of a tile, an input, or both in one cycle.
`default_nettype none
module tb_mac_array #(
    parameter int LANES_IN = 8,
    parameter int LANES_OUT = 8,
    parameter bit PAIRED = 0
);
  localparam int BITS = 16 * LANES_IN + 24;

  logic                       clk, valid, done;
  logic [LANES_IN-1:0][7:0]   x, row_data;
  logic [7:0]                 row, flags;
  logic [LANES_OUT-1:0][31:0] result;

  sf_vectors #(.BITS(BITS)) u_vectors (.clk, .valid, .data({flags, row, row_data, x}), .done);
  sf_mac_array #(.LANES_IN(LANES_IN), .LANES_OUT(LANES_OUT), .PAIRED(PAIRED)) u_unit (
      .clk, .valid(valid && flags[0]), .bank(flags[1]), .x, .row_valid(valid && flags[2]), .row_bank(flags[3]), .row, .row_data, .result
  );
  sf_results #(.BITS(32 * LANES_OUT), .LATENCY(sf_compute_pkg::MAC_LATENCY)) u_results (.clk, .valid, .result, .done);

  wire logic unused = &{1'b0, flags[7:4]};
endmodule
`default_nettype wire
