`default_nettype none
// LANES_OUT dot products of LANES_IN int8, MAC_LATENCY cycles after their input. Two weight tiles: one multiplies while the rows of
// the other arrive.
module sf_mac_array #(
    parameter int LANES_IN = 8,
    parameter int LANES_OUT = 8
) (
    input  wire logic                       clk,
    input  wire logic                       valid,
    input  wire logic                       bank,       // tile to multiply with
    input  wire logic [LANES_IN-1:0][7:0]   x,
    input  wire logic                       row_valid,  // a row of a tile arrives
    input  wire logic                       row_bank,
    input  wire logic [7:0]                 row,
    input  wire logic [LANES_IN-1:0][7:0]   row_data,
    output      logic [LANES_OUT-1:0][31:0] result
);
  localparam int PARTS = LANES_IN / 8;  // sums of eight products are registered, then added
  logic [LANES_IN-1:0][7:0] tile0[LANES_OUT], tile1[LANES_OUT];
  logic signed [18:0] parts[LANES_OUT][PARTS];
  logic valid_q;

  always_ff @(posedge clk) begin
    if (row_valid && !row_bank) tile0[row[$clog2(LANES_OUT)-1:0]] <= row_data;
    if (row_valid && row_bank) tile1[row[$clog2(LANES_OUT)-1:0]] <= row_data;
  end

  always_ff @(posedge clk) begin
    valid_q <= valid;
    if (valid) begin
      for (int o = 0; o < LANES_OUT; o++) begin
        for (int p = 0; p < PARTS; p++) begin
          parts[o][p] <= dot(x[8*p +: 8], bank ? tile1[o][8*p +: 8] : tile0[o][8*p +: 8]);
        end
      end
    end
    if (valid_q) begin
      for (int o = 0; o < LANES_OUT; o++) begin
        result[o] <= total(parts[o]);
      end
    end
  end

  function automatic logic signed [18:0] dot(input logic [7:0][7:0] a, input logic [7:0][7:0] b);
    dot = '0;
    for (int i = 0; i < 8; i++) dot += 19'(16'($signed(a[i])) * 16'($signed(b[i])));
  endfunction
  function automatic logic [31:0] total(input logic signed [18:0] values[PARTS]);
    total = '0;
    for (int p = 0; p < PARTS; p++) total += 32'(values[p]);
  endfunction
endmodule
`default_nettype wire
