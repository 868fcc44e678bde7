`default_nettype none
// Unsigned product, three cycles after its operands, one a cycle. The wide operand is cut in two, so that each half is one DSP
// slice with registers around it and the sum of the halves has a cycle of its own.
module sf_multiply #(
    parameter int A_BITS = 16,
    parameter int B_BITS = 36
) (
    input  wire logic                     clk,
    input  wire logic [       A_BITS-1:0] a,
    input  wire logic [       B_BITS-1:0] b,
    output logic      [A_BITS+B_BITS-1:0] product
);
  localparam int LOW = (B_BITS + 1) / 2;

  logic [A_BITS-1:0] a_held;
  logic [B_BITS-1:0] b_held;
  logic [A_BITS+LOW-1:0] low;
  logic [A_BITS+B_BITS-LOW-1:0] high;

  always_ff @(posedge clk) begin
    a_held <= a;
    b_held <= b;
    low <= (A_BITS + LOW)'(a_held) * (A_BITS + LOW)'(b_held[LOW-1:0]);
    high <= (A_BITS + B_BITS - LOW)'(a_held) * (A_BITS + B_BITS - LOW)'(b_held[B_BITS-1:LOW]);
    product <= (A_BITS + B_BITS)'(low) + {high, LOW'(0)};
  end
endmodule
`default_nettype wire
