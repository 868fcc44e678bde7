`default_nettype none
// Two of the dot products of sf_mac_array, with one multiplier for two products: a DSP48E2 takes 27 x 18 bits.
//
// Both outputs multiply the same x, so x * (high << 18 + low) is both products, 18 bits apart. A low weight below 0 would borrow from
// the high one; with its sign bit turned over it is low + 128, which is never below 0, and the factor is mere wiring:
//
//   {high, 10'd0, low + 128}, 26 bits         x * that = (x * high << 18) + x * low + 128 * x
//
// The lower part x * (low + 128) lies in -128 * 255 .. 127 * 255 = -32,640 .. 32,385. Four of them are -130,560 .. 129,540, which
// 18 bits hold, signed: -131,072 .. 131,071. (Eight would not fit.) So four products are added as they are; then the lower sum is
// the lower 18 bits, signed, and the upper sum is what is above them, plus 1 where the lower sum is below 0 and has borrowed.
// What the turned bits have added, 128 times the sum of x, is the same for all pairs: `x_sum`.
module sf_mac_pair #(
    parameter int LANES_IN = 8
) (
    input  wire logic                     clk,
    input  wire logic                     valid,
    input  wire logic                     valid_q,    // a cycle later
    input  wire logic                     bank,
    input  wire logic [LANES_IN-1:0][7:0] x,
    input  wire logic signed [15:0]       x_sum,      // of all lanes, with valid_q
    input  wire logic [1:0]               row_valid,  // for the low and the high output
    input  wire logic                     row_bank,
    input  wire logic [LANES_IN-1:0][7:0] row_data,
    output      logic [1:0][31:0]         result
);
  localparam int FOURS = LANES_IN / 4;
  localparam int SUM_BITS = 17 + $clog2(LANES_IN);  // -2^14 * LANES_IN .. 2^14 * LANES_IN, and 128 * x_sum on the way

  logic [LANES_IN-1:0][7:0] low0, low1, high0, high1, low, high;
  always_ff @(posedge clk) begin
    if (row_valid[0] && !row_bank) low0 <= row_data;
    if (row_valid[0] && row_bank) low1 <= row_data;
    if (row_valid[1] && !row_bank) high0 <= row_data;
    if (row_valid[1] && row_bank) high1 <= row_data;
  end
  assign low = bank ? low1 : low0;
  assign high = bank ? high1 : high0;

  logic signed [33:0] products[LANES_IN];
  always_ff @(posedge clk) begin
    if (valid) begin
      for (int i = 0; i < LANES_IN; i++) products[i] <= 34'($signed(x[i])) * 34'($signed({high[i], 10'd0, ~low[i][7], low[i][6:0]}));
    end
  end

  logic signed [35:0] four[FOURS];
  logic signed [SUM_BITS-1:0] low_sum, high_sum;
  always_comb begin
    low_sum = '0;
    high_sum = '0;
    for (int f = 0; f < FOURS; f++) begin
      four[f] = 36'(products[4*f]) + 36'(products[4*f+1]) + 36'(products[4*f+2]) + 36'(products[4*f+3]);
      low_sum += SUM_BITS'($signed(four[f][17:0]));
      high_sum += SUM_BITS'($signed(four[f][35:18])) + SUM_BITS'({1'b0, four[f][17]});
    end
    low_sum -= SUM_BITS'($signed({x_sum, 7'd0}));
  end

  always_ff @(posedge clk) begin
    if (valid_q) result <= {32'(high_sum), 32'(low_sum)};
  end
endmodule
`default_nettype wire
