// Integer product plus aligned addend, exact, then rounded once to 24 bits; three cycles.
//
// The sum is in two's complement until it is rounded; see sf_float_align for the window.
`default_nettype none
module sf_float_sum (
    input  wire logic               clk,
    input  wire logic [2:0]         enable,
    input  wire logic signed [41:0] product,   // beyond 32 bits and a sign only with addend 0
    input  wire logic               alone,     // this and what follows: from sf_float_align
    input  wire logic               sign,
    input  wire logic signed [9:0]  exponent,
    input  wire logic [61:0]        window,
    output sf_float_pkg::sf_float_t result
);
  logic [61:0] placed;
  logic [61:0] total;
  logic        unused_carry;
  always_comb begin
    placed = alone ? 62'd0 : {{17{product[41]}}, product, 3'd0};
    {total, unused_carry} = {window, 1'b1} + {placed, sign};
  end

  logic signed [9:0] sum_exponent;
  logic [61:0]       sum;
  always_ff @(posedge clk)
    if (enable[0]) begin
      sum_exponent <= exponent;
      sum <= total;
    end

  // Minus a power of two has its last copy of the sign where another number has its leading one: it is rounded one place too
  // far down, where it has only zeros.
  logic [5:0]  places;
  logic [60:0] shifted;
  logic [2:0]  unused_zeros;
  always_comb sf_float_pkg::normalise(sum[61], {sum[60:0], 3'd0}, {shifted, unused_zeros}, places);

  logic              normal_sign;
  logic signed [9:0] normal_exponent;
  logic [60:0]       normal;
  always_ff @(posedge clk)
    if (enable[1]) begin
      normal_sign <= sum[61];
      normal_exponent <= sum_exponent - signed'(10'(places));
      normal <= shifted;
    end

  // Nearest even. A negative magnitude is the inverted upper part, plus one unless the lower part is more than a half.
  logic              half, rest, up;
  logic signed [9:0] carried;
  logic [23:0]       upper;
  logic [22:0]       fraction;
  always_comb begin
    upper = normal[60:37] ^ {24{normal_sign}};
    half = normal[36];
    rest = normal[35:0] != 0;
    up = normal_sign ? !half || (!rest && upper[0]) : half && (rest || upper[0]);
    {carried, fraction} = {normal_exponent, upper[22:0]} + 33'(up);
  end
  always_ff @(posedge clk)
    if (enable[2]) begin
      result.sign <= normal_sign;
      result.exponent <= carried;
      result.mantissa <= {upper[23], fraction};
    end
endmodule
`default_nettype wire
