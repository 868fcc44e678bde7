// Correctly rounded quotient of normalised values (the numerator may be 0), two binary digits a stage.
//
// One division a cycle; the quotient is there DIVIDE_LATENCY cycles later; enable[k] moves step k.
`default_nettype none
module sf_float_divide (
    input  wire logic                                    clk,
    input  wire logic [sf_float_pkg::DIVIDE_LATENCY-1:0] enable,
    input  wire sf_float_pkg::sf_float_t                 numerator,
    input  wire sf_float_pkg::sf_float_t                 denominator,
    output sf_float_pkg::sf_float_t                      quotient
);
  // 26 digits, the first of weight 1: 24, one for the rounding, and one because the first may be 0.
  localparam int STAGES = sf_float_pkg::DIVIDE_LATENCY - 1;

  logic              sign     [1:STAGES];
  logic signed [9:0] exponent [1:STAGES];
  logic [23:0]       divisor  [1:STAGES];
  logic [24:0]       remainder[1:STAGES];  // below twice the divisor
  logic [25:0]       digits   [1:STAGES];

  // {remainder, digit}
  function automatic logic [25:0] next_digit(input logic [24:0] rest, input logic [23:0] by);
    logic [23:0] less;
    logic        fits;
    fits = rest >= {1'b0, by};
    less = 24'(fits ? rest - {1'b0, by} : rest);
    next_digit = {less, 1'b0, fits};
  endfunction

  // {remainder, two digits}
  function automatic logic [26:0] next_digits(input logic [24:0] rest, input logic [23:0] by);
    logic [25:0] high, low;
    high = next_digit(rest, by);
    low = next_digit(high[25:1], by);
    next_digits = {low[25:1], high[0], low[0]};
  endfunction

  always_ff @(posedge clk) begin
    if (enable[0]) begin
      sign[1] <= numerator.sign ^ denominator.sign;
      exponent[1] <= numerator.exponent - denominator.exponent;
      divisor[1] <= denominator.mantissa;
      {remainder[1], digits[1][1:0]} <= next_digits({1'b0, numerator.mantissa}, denominator.mantissa);
      digits[1][25:2] <= '0;
    end
    for (int i = 2; i <= STAGES; i++)
      if (enable[i-1]) begin
        sign[i] <= sign[i-1];
        exponent[i] <= exponent[i-1];
        divisor[i] <= divisor[i-1];
        {remainder[i], digits[i][1:0]} <= next_digits(remainder[i-1], divisor[i-1]);
        digits[i][25:2] <= digits[i-1][23:0];
      end
  end

  logic        inexact;
  logic [63:0] value;
  always_comb begin
    inexact = remainder[STAGES] != 0;
    value = {digits[STAGES], inexact, 37'd0};
  end
  always_ff @(posedge clk)
    if (enable[STAGES])
      if (digits[STAGES][25]) quotient <= sf_float_pkg::round_float(sign[STAGES], exponent[STAGES], value);
      else quotient <= sf_float_pkg::round_float(sign[STAGES], exponent[STAGES] - 10'sd1, value << 1);
endmodule
`default_nettype wire
