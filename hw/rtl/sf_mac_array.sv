`default_nettype none
// LANES_OUT dot products of LANES_IN int8, MAC_LATENCY cycles after their input. Two weight tiles: one multiplies while the rows of
// the other arrive. With PAIRED, two outputs share a multiplier for two of their products, which halves the DSP slices; without,
// each product has its own. Results are the same in every cycle, and Verilator is as fast with either.
module sf_mac_array #(
    parameter int LANES_IN = 8,
    parameter int LANES_OUT = 8,
    parameter bit PAIRED = 1
) (
    input  wire logic                       clk,
    input  wire logic                       valid,
    input  wire logic                       bank,       // tile to multiply with
    input  wire logic [LANES_IN-1:0][7:0]   x,
    input  wire logic                       row_valid,  // a row of a tile arrives
    input  wire logic                       row_bank,
    // verilator lint_off UNUSEDSIGNAL
    input  wire logic [7:0]                 row,        // of the largest device
    // verilator lint_on UNUSEDSIGNAL
    input  wire logic [LANES_IN-1:0][7:0]   row_data,
    output      logic [LANES_OUT-1:0][31:0] result
);
  localparam int ROW_BITS = $clog2(LANES_OUT);
  localparam int PARTS = LANES_IN / 8;  // sums of eight products are registered, then added
  logic valid_q;
  always_ff @(posedge clk) valid_q <= valid;

  if (PAIRED) begin : g_paired
    logic signed [10:0] x_parts[PARTS];
    logic signed [15:0] x_sum;
    always_ff @(posedge clk) if (valid) for (int p = 0; p < PARTS; p++) x_parts[p] <= sum_of(x[8*p +: 8]);
    always_comb begin
      x_sum = '0;
      for (int p = 0; p < PARTS; p++) x_sum += 16'(x_parts[p]);
    end
    for (genvar o = 0; o < LANES_OUT; o += 2) begin : g_pair
      logic [1:0] here;
      assign here = {row[ROW_BITS-1:0] == ROW_BITS'(o + 1), row[ROW_BITS-1:0] == ROW_BITS'(o)};
      sf_mac_pair #(.LANES_IN(LANES_IN)) u_pair (
          .clk, .valid, .valid_q, .bank, .x, .x_sum, .row_valid({2{row_valid}} & here), .row_bank, .row_data,
          .result(result[o +: 2])
      );
    end
  end else begin : g_plain
    logic [LANES_IN-1:0][7:0] tile0[LANES_OUT], tile1[LANES_OUT];
    logic signed [18:0] parts[LANES_OUT][PARTS];

    always_ff @(posedge clk) begin
      if (row_valid && !row_bank) tile0[row[ROW_BITS-1:0]] <= row_data;
      if (row_valid && row_bank) tile1[row[ROW_BITS-1:0]] <= row_data;
    end

    always_ff @(posedge clk) begin
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
  end

  function automatic logic signed [10:0] sum_of(input logic [7:0][7:0] values);
    sum_of = '0;
    for (int i = 0; i < 8; i++) sum_of += 11'($signed(values[i]));
  endfunction
endmodule
`default_nettype wire
