// A queue in distributed RAM: what is written in one cycle can be read in the next. DEPTH is a power of two.
`default_nettype none
module sf_fifo #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 16
) (
    input  wire logic             clk,
    input  wire logic             rst,
    input  wire logic             in_valid,
    output      logic             in_ready,
    input  wire logic [WIDTH-1:0] in_data,
    output      logic             out_valid,
    input  wire logic             out_ready,
    output      logic [WIDTH-1:0] out_data
);
  localparam int POINTER = $clog2(DEPTH);

  logic [WIDTH-1:0]   entries[DEPTH];
  logic [POINTER-1:0] head, tail;
  logic [POINTER:0]   level;
  logic               push, pop;

  assign in_ready  = !level[POINTER];
  assign out_valid = level != '0;
  assign out_data  = entries[head];
  assign push      = in_valid && in_ready;
  assign pop       = out_valid && out_ready;

  always_ff @(posedge clk) begin
    if (push) entries[tail] <= in_data;
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      head  <= '0;
      tail  <= '0;
      level <= '0;
    end else begin
      if (push) tail <= tail + 1'b1;
      if (pop) head <= head + 1'b1;
      level <= level + (POINTER + 1)'(push) - (POINTER + 1)'(pop);
    end
  end
endmodule
`default_nettype wire
