// The addend of a sum, shifted to the place of an integer product that follows.
//
// Addend and exponents in cycle t, outputs in t+2, where sf_float_sum takes them together with the product. The product's bit
// 0 has the weight 2**(product_exponent - 23) and comes to bit 3 of the window. A negative addend's window has all bits
// inverted: sf_float_sum adds the missing one.
//
// A product of 24..32 bits needs no more than the window. From 34 places above it, or if it is 0, the addend alone is the
// rounded sum (`alone`: the window is then a frame of its own). Below it, the sum has its leading one at bit 25 or above unless
// the addend ends at bit 2 or above, so that bits 2 and 1 and a bit 0 that stands for the rest decide the rounding. Only a
// subnormal factor makes shorter products: then no bit of a float32 addend lies below the product's.
`default_nettype none
module sf_float_align (
    input  wire logic                    clk,
    input  wire logic [1:0]              enable,
    input  wire sf_float_pkg::sf_float_t addend,
    input  wire logic                    no_product,        // the product is 0
    input  wire logic signed [9:0]       product_exponent,
    output logic                         alone,
    output logic                         sign,
    output logic signed [9:0]            exponent,          // weight of the window's bit 60
    output logic [61:0]                  window
);
  localparam int FAR = 33;  // most places by which the addend's bit 0 may be above the product's

  sf_float_pkg::sf_float_t held;
  logic signed [9:0] held_exponent;
  logic signed [9:0] shift;  // from the leftmost place to the right
  logic              held_alone;
  always_ff @(posedge clk)
    if (enable[0]) begin
      held <= addend;
      held_exponent <= product_exponent;
      held_alone <= no_product;
      shift <= 10'(FAR) + product_exponent - addend.exponent;
    end

  logic        is_alone;
  logic [5:0]  places;
  logic [61:0] shifted;
  logic [1:0]  unused_sign;
  always_comb begin
    // A subnormal addend is nowhere far above, and zero has no leading one either.
    is_alone = held_alone || (shift < 0 && held.mantissa[23]);
    places = is_alone || shift < 0 ? 6'd0 : shift > 10'sd63 ? 6'd63 : shift[5:0];
    {unused_sign, shifted} = sf_float_pkg::shift_right(held.sign, {4'd0, held.mantissa, 36'd0} ^ {64{held.sign}}, places);
  end
  always_ff @(posedge clk)
    if (enable[1]) begin
      alone <= is_alone;
      sign <= held.sign;
      exponent <= is_alone ? held.exponent + 10'sd1 : held_exponent + 10'sd34;
      window <= shifted;
    end
endmodule
`default_nettype wire
