`default_nettype none
// `out` is `in` CYCLES cycles ago: a small memory with a running pointer, where a long shift register would cost more.
module sf_delay #(
    parameter int WIDTH = 8,
    parameter int CYCLES = 2
) (
    input  wire logic             clk,
    input  wire logic             rst,
    input  wire logic [WIDTH-1:0] in,
    output      logic [WIDTH-1:0] out
);
  localparam int DEPTH = CYCLES - 1;
  localparam int BITS = DEPTH > 1 ? $clog2(DEPTH) : 1;
  logic [WIDTH-1:0] memory[DEPTH];
  logic [BITS-1:0] pointer;

  always_ff @(posedge clk) begin
    out <= memory[pointer];
    memory[pointer] <= in;
    pointer <= rst || 32'(pointer) == DEPTH - 1 ? '0 : pointer + 1;
  end
endmodule
`default_nettype wire
