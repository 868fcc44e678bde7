`default_nettype none
// A bank of the scratchpad: one read port, one write port with byte strobes, block RAM.
// `read_data` follows `read` after one cycle and stays until the next read; a word read and written in one cycle is the old one.
// The write port takes the compute engine's data or the load engine's whole words.
module sf_bank #(
    parameter int LANES = 8,
    parameter int WORDS = 1024
) (
    input  wire logic                     clk,
    input  wire logic                     read,
    input  wire logic [$clog2(WORDS)-1:0] read_offset,
    output logic      [LANES-1:0][7:0]    read_data,
    input  wire logic                     write,
    input  wire logic                     write_loads,
    input  wire logic [$clog2(WORDS)-1:0] write_offset,
    input  wire logic [LANES-1:0][7:0]    w_data,
    input  wire logic [LANES-1:0]         w_strobe,
    input  wire logic [LANES-1:0][7:0]    l_data
);
  logic [LANES-1:0][7:0] memory[WORDS];

  always_ff @(posedge clk) begin
    if (read) read_data <= memory[read_offset];
    if (write) begin
      // Unrolled, 48 banks of 64 lanes would be megabytes of C++.
      // verilator unroll_disable
      for (int lane = 0; lane < LANES; lane++) begin
        if (write_loads || w_strobe[lane]) begin
          memory[write_offset][lane] <= write_loads ? l_data[lane] : w_data[lane];
        end
      end
    end
  end
endmodule
`default_nettype wire
