// sat(rint(float32(value + zero))): a normalised float32 value plus an int8, rounded to 24 bits and then to an integer, both
// to nearest even; four cycles.
//
// The two roundings are one comparison. The sum is n + f, 0 <= f < 1, and has 24 - bits(n) places behind the point. Its
// rounding to 24 bits makes f one half, a tie, exactly when f is within half of the last place of one half: one half is even
// there, so it also gets both ends of that interval. Elsewhere f stays on its side of one half. (Below one half the places
// are one more, but there n = 0, which is even: a tie and less than a half both give 0.)
//
// Units are 2**-25: a value of 1/4 or more is a whole number of them, a smaller one leaves f far from one half wherever it is
// cut off.
`default_nettype none
module sf_float_byte (
    input  wire logic                    clk,
    input  wire logic [3:0]              enable,
    input  wire sf_float_pkg::sf_float_t value,
    input  wire logic [7:0]              zero,
    output logic [7:0]                   result
);
  logic signed [9:0] shift;
  always_comb shift = 10'sd7 - value.exponent;

  logic        sign, huge;  // huge: 256 or more, which no zero point brings back
  logic [7:0]  zero_held;
  logic [32:0] magnitude;   // means nothing if huge
  always_ff @(posedge clk)
    if (enable[0]) begin
      sign <= value.sign;
      huge <= shift < 0 && value.mantissa != 0;
      zero_held <= zero;
      magnitude <= shift > 10'sd15 ? 33'd0 : {value.mantissa, 9'd0} >> shift[3:0];
    end

  logic signed [34:0] total;
  logic               unused_carry;
  always_comb
    {total, unused_carry} = {{2{zero_held[7]}}, zero_held, 25'd0, 1'b1} + {{2'd0, magnitude} ^ {35{sign}}, sign};

  logic signed [34:0] sum;
  logic               sum_sign, sum_huge;
  always_ff @(posedge clk)
    if (enable[1]) begin
      sum <= total;
      sum_sign <= sign;
      sum_huge <= huge;
    end

  logic [6:0]  whole;       // whole part of the magnitude of n + 1/2, below 128 where nothing saturates
  logic [25:0] half_place;  // half of its last place
  logic [25:0] fraction;    // f
  logic        up, tie;
  always_comb begin
    whole = sum[31:25] ^ {7{sum[34]}};
    half_place = 26'd1;
    for (int i = 0; i < 7; i++) if (whole[i]) half_place = 26'd2 << i;
    fraction = {1'b0, sum[24:0]};
    up = fraction > 26'h1000000 + half_place;
    tie = fraction >= 26'h1000000 - half_place;
  end

  logic signed [9:0] below;
  logic              increment, last_sign, last_huge;
  always_ff @(posedge clk)
    if (enable[2]) begin
      below <= sum[34:25];
      increment <= up || (tie && sum[25]);
      last_sign <= sum_sign;
      last_huge <= sum_huge;
    end

  always_ff @(posedge clk)
    if (enable[3])
      if (last_huge) result <= last_sign ? 8'h80 : 8'h7f;
      else result <= sf_float_pkg::saturate_byte(below + 10'(increment));
endmodule
`default_nettype wire
