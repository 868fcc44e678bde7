// sat(rint(float32(float32(acc) * factor)) + zero_point) of one lane; enable[k] moves step k.
//
// A subnormal factor, or a product below 2**-126, is far below one half: what is lost of it does not matter.
`default_nettype none
module sf_requantise_lane (
    input  wire logic        clk,
    input  wire logic [7:0]  enable,
    input  wire logic [31:0] acc,
    input  wire logic [31:0] factor,
    input  wire logic [7:0]  zero_point,  // in the cycle of enable[7]
    output logic [7:0]       result
);
  import sf_float_pkg::*;

  // Magnitude.
  logic        sign_0;
  logic [31:0] magnitude_0;
  sf_float_t   factor_0;
  always_ff @(posedge clk)
    if (enable[0]) begin
      sign_0 <= acc[31];
      magnitude_0 <= acc[31] ? -acc : acc;
      factor_0 <= unpack_float(factor);
    end

  // Normalise.
  logic [5:0]  zeros;
  logic [31:0] normal, unused_zeros;
  always_comb normalise(1'b0, {magnitude_0, 32'd0}, {normal, unused_zeros}, zeros);

  logic              sign_1;
  logic signed [9:0] exponent_1;
  logic [31:0]       normal_1;
  sf_float_t         factor_1;
  always_ff @(posedge clk)
    if (enable[1]) begin
      sign_1 <= sign_0;
      exponent_1 <= 10'sd31 - signed'(10'(zeros));
      normal_1 <= normal;
      factor_1 <= factor_0;
    end

  // First rounding, int32 to float32.
  sf_float_t value_2, factor_2;
  always_ff @(posedge clk)
    if (enable[2]) begin
      value_2 <= round_float(sign_1, exponent_1, {normal_1, 32'd0});
      factor_2 <= factor_1;
    end

  // Multiply; two registers, as a multiplier of several DSPs wants.
  logic              sign_3, sign_4;
  logic signed [9:0] exponent_3, exponent_4;
  logic [47:0]       product_3, product_4;
  always_ff @(posedge clk) begin
    if (enable[3]) begin
      sign_3 <= value_2.sign ^ factor_2.sign;
      exponent_3 <= value_2.exponent + factor_2.exponent;
      product_3 <= value_2.mantissa * factor_2.mantissa;
    end
    if (enable[4]) begin
      sign_4 <= sign_3;
      exponent_4 <= exponent_3;
      product_4 <= product_3;
    end
  end

  // Second rounding, the product to float32.
  sf_float_t value_5;
  always_ff @(posedge clk)
    if (enable[5])
      if (product_4[47]) value_5 <= round_float(sign_4, exponent_4 + 10'sd1, {product_4, 16'd0});
      else value_5 <= round_float(sign_4, exponent_4, {product_4[46:0], 17'd0});

  // Magnitude in units of 2**-24. Below one half it is taken as 0; from 256 on no zero point brings it back.
  logic        sign_6, huge_6;
  logic [31:0] fixed_6;
  always_ff @(posedge clk)
    if (enable[6]) begin
      sign_6 <= value_5.sign;
      huge_6 <= value_5.exponent > 10'sd7 && value_5.mantissa != 0;
      fixed_6 <= value_5.exponent < -10'sd1 ? 32'd0 : {8'd0, value_5.mantissa} << 4'(value_5.exponent + 10'sd1);
    end

  // Third rounding, to an integer.
  logic              up;
  logic signed [9:0] rounded;
  always_comb begin
    up = fixed_6[23] && (fixed_6[24] || fixed_6[22:0] != 0);
    rounded = signed'({2'd0, fixed_6[31:24]} + 10'(up));
  end
  always_ff @(posedge clk)
    if (enable[7])
      if (huge_6) result <= sign_6 ? 8'h80 : 8'h7f;
      else result <= saturate_byte((sign_6 ? -rounded : rounded) + 10'(signed'(zero_point)));
endmodule
`default_nettype wire
