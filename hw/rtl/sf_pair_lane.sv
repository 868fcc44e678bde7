// One lane of sf_pair; enable[k] moves step k, and what has a number is taken in the cycle of that enable.
//
// ADD is two sums, the second with the first as its addend. MUL is the second alone, with addend 0: the rounding of a sum is
// that of the product.
`default_nettype none
module sf_pair_lane #(
    parameter bit ADDS = 1
) (
    input  wire logic                                  clk,
    input  wire logic [sf_float_pkg::PAIR_LATENCY-1:0] enable,
    input  wire logic [4:1]                            add_enable,  // as enable, for ADD only
    input  wire logic [7:0]                            a_0,
    input  wire logic [7:0]                            b_0,
    input  wire logic [7:0]                            a_zero_0,    // 0 for ADD
    input  wire logic [7:0]                            b_zero_0,
    input  wire logic                                  add_1,
    input  wire logic signed [24:0]                    b_ratio_1,   // signed mantissa
    input  wire logic                                  alone_2,     // these four: the offset, aligned to b's product
    input  wire logic                                  sign_2,
    input  wire logic signed [9:0]                     exponent_2,
    input  wire logic [61:0]                           window_2,
    input  wire sf_float_pkg::sf_float_t               offset_5,
    input  wire logic                                  add_5,
    input  wire sf_float_pkg::sf_factor_t              factor_5,    // a's ratio or MUL's factor
    input  wire logic [7:0]                            y_zero_10,   // 0 for ADD
    output logic [7:0]                                 result
);
  import sf_float_pkg::*;

  logic signed [8:0] left_1, right_1;
  always_ff @(posedge clk)
    if (enable[0]) begin
      left_1 <= signed'({a_0[7], a_0}) - signed'({a_zero_0[7], a_zero_0});
      right_1 <= signed'({b_0[7], b_0}) - signed'({b_zero_0[7], b_zero_0});
    end

  // The integer that meets the factor in step 5.
  logic signed [16:0] operand[2:5];
  always_ff @(posedge clk) begin
    if (enable[1]) operand[2] <= 17'(left_1) * (add_1 ? 17'sd1 : 17'(right_1));
    for (int i = 3; i <= 5; i++) if (enable[i-1]) operand[i] <= operand[i-1];
  end

  // b * b_ratio + offset.
  sf_float_t addend_5;
  if (ADDS) begin : gen_inner
    logic signed [33:0] product_2;
    logic [5:2]         b_is_0;
    always_ff @(posedge clk) begin
      if (add_enable[1]) product_2 <= right_1 * b_ratio_1;
      if (add_enable[1]) b_is_0[2] <= right_1 == 0;
      for (int i = 3; i <= 5; i++) if (add_enable[i-1]) b_is_0[i] <= b_is_0[i-1];
    end

    sf_float_t sum_5;
    sf_float_sum u_sum (
        .clk,
        .enable(add_enable[4:2]),
        .product(42'(product_2)),
        .alone(alone_2),
        .sign(sign_2),
        .exponent(exponent_2),
        .window(window_2),
        .result(sum_5)
    );
    // The window is that of products that are not 0: with one that is, it may lack bits of the offset.
    assign addend_5 = !add_5 ? '0 : b_is_0[5] ? offset_5 : sum_5;
  end else begin : gen_no_inner
    assign addend_5 = '0;
  end

  // operand * factor + addend.
  logic              alone_7, sign_7;
  logic signed [9:0] exponent_7;
  logic [61:0]       window_7;
  sf_float_align u_align (
      .clk,
      .enable(enable[6:5]),
      .addend(addend_5),
      .no_product(operand[5] == 0),
      .product_exponent(factor_5.exponent),
      .alone(alone_7),
      .sign(sign_7),
      .exponent(exponent_7),
      .window(window_7)
  );

  logic signed [41:0] product_6, product_7;
  always_ff @(posedge clk) begin
    if (enable[5]) product_6 <= operand[5] * factor_5.mantissa;
    if (enable[6]) product_7 <= product_6;
  end

  sf_float_t value_10;
  sf_float_sum u_sum (
      .clk,
      .enable(enable[9:7]),
      .product(product_7),
      .alone(alone_7),
      .sign(sign_7),
      .exponent(exponent_7),
      .window(window_7),
      .result(value_10)
  );

  sf_float_byte u_byte (
      .clk,
      .enable(enable[13:10]),
      .value(value_10),
      .zero(y_zero_10),
      .result
  );

  if (!ADDS) begin : gen_unused
    wire logic unused = &{1'b0, add_enable, b_ratio_1, alone_2, sign_2, exponent_2, window_2, offset_5, add_5};
  end
endmodule
`default_nettype wire
