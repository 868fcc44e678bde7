// One lane of sf_average_step; enable[k] moves step k.
`default_nettype none
module sf_average_step_lane (
    input  wire logic                     clk,
    input  wire logic [5:0]               enable,
    input  wire logic                     first,
    input  wire logic [31:0]              total,
    input  wire logic [7:0]               x,
    input  wire logic [7:0]               x_zero,
    input  wire sf_float_pkg::sf_factor_t x_scale_1,  // in the cycle of enable[1]
    output logic [31:0]                   result
);
  import sf_float_pkg::*;

  // x - x_zero, shifted so that its product has 31 or 32 bits beside the sign.
  logic signed [8:0] difference;
  logic [7:0]        normal;
  logic [1:0]        unused_places;
  logic [3:0]        places;
  logic [55:0]       unused_zeros;
  always_comb begin
    difference = signed'({x[7], x}) - signed'({x_zero[7], x_zero});
    normalise(difference[8], {difference[7:0], 56'd0}, {normal, unused_zeros}, {unused_places, places});
  end

  logic signed [8:0] normal_1;
  logic [3:0]        places_1;
  sf_float_t         total_1;
  always_ff @(posedge clk)
    if (enable[0]) begin
      normal_1 <= {difference[8], normal};
      places_1 <= places;
      total_1 <= first ? '0 : unpack_float(total);
    end

  // The total moves to the place of the product while that is made and rounded to float32.
  logic              alone_3, sign_3;
  logic signed [9:0] exponent_3;
  logic [61:0]       window_3;
  sf_float_align u_align (
      .clk,
      .enable(enable[2:1]),
      .addend(total_1),
      .no_product(normal_1 == 0),
      .product_exponent(x_scale_1.exponent - signed'(10'(places_1))),
      .alone(alone_3),
      .sign(sign_3),
      .exponent(exponent_3),
      .window(window_3)
  );

  logic signed [33:0] product_2, product_3;
  always_ff @(posedge clk) begin
    if (enable[1]) product_2 <= normal_1 * x_scale_1.mantissa;
    if (enable[2]) product_3 <= round_product(product_2);
  end

  sf_float_t sum;
  sf_float_sum u_sum (
      .clk,
      .enable(enable[5:3]),
      .product(42'(product_3)),
      .alone(alone_3),
      .sign(sign_3),
      .exponent(exponent_3),
      .window(window_3),
      .result(sum)
  );
  assign result = pack_float(sum);
endmodule
`default_nettype wire
