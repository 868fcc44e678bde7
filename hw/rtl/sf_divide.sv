`default_nettype none
// Unsigned division, a bit a cycle: `done` comes BITS + 1 cycles after `start`; the results stay until the next `start`.
// A divisor of 0 gives results without a meaning.
module sf_divide #(
    parameter int BITS = 16
) (
    input  wire logic            clk,
    input  wire logic            rst,
    input  wire logic            start,
    input  wire logic [BITS-1:0] dividend,
    input  wire logic [BITS-1:0] divisor,
    output logic                 done,
    output logic      [BITS-1:0] quotient,
    output logic      [BITS-1:0] remainder
);
  logic [$clog2(BITS+1)-1:0] steps_left;
  logic [BITS-1:0] divisor_held;
  logic [BITS:0] shifted, difference;

  // The dividend leaves `quotient` at the top while the quotient's bits enter below.
  assign shifted = {remainder, quotient[BITS-1]};
  assign difference = shifted - {1'b0, divisor_held};

  always_ff @(posedge clk) begin
    done <= 1'b0;
    if (start) begin
      quotient <= dividend;
      remainder <= '0;
      divisor_held <= divisor;
      steps_left <= ($clog2(BITS + 1))'(BITS);
    end else if (steps_left != '0) begin
      quotient <= {quotient[BITS-2:0], !difference[BITS]};
      remainder <= difference[BITS] ? shifted[BITS-1:0] : difference[BITS-1:0];
      steps_left <= steps_left - 1'b1;
      done <= steps_left == 1;
    end
    if (rst) begin
      steps_left <= '0;
      done <= 1'b0;
    end
  end
endmodule
`default_nettype wire
