// Second-operand rules on int8 lanes, constants in a 16-byte record, byte 0 in bits 7:0.
//
//   ADD  sat(rint(fma(a, a_ratio, fma(b, b_ratio, offset))))              record: float32 a_ratio, b_ratio, offset
//   MUL  sat(rint(float32(float32((a - za) * (b - zb)) * factor) + zy))   record: float32 factor, 8 bytes, int8 za, zb, zy
//
// Exact for finite constants with which no float32 overflows inside ADD (a plan's ratios are below 2**22), subnormal ones
// included: float32 sums never lose bits to underflow, and a product of MUL below 2**-126 changes no sum with an integer.
// Inputs are taken in the cycle of `valid`, one set a cycle; the result is there PAIR_LATENCY cycles later. ADDS = 0 leaves
// ADD out.
`default_nettype none
module sf_pair #(
    parameter int LANES = 8,
    parameter bit ADDS = 1
) (
    input  wire logic                  clk,
    input  wire logic                  valid,
    input  wire logic                  add,     // 1 ADD, 0 MUL
    input  wire logic [LANES-1:0][7:0] a,
    input  wire logic [LANES-1:0][7:0] b,
    input  wire logic [127:0]          record,
    output logic [LANES-1:0][7:0]      result
);
  import sf_float_pkg::*;
  localparam int STEPS = PAIR_LATENCY;

  logic             adds;
  logic [STEPS-1:1] moved;
  logic [STEPS-1:0] enable;
  logic [5:1]       is_add;
  assign adds = ADDS && add;
  assign enable = {moved, valid};

  sf_factor_t         b_ratio_0;
  sf_float_t          offset_0;
  logic signed [24:0] b_ratio_1;
  sf_factor_t [5:1]   factor;
  sf_float_t [5:1]    offset;
  logic [10:1][7:0]   y_zero;
  assign b_ratio_0 = unpack_factor(record[63:32]);
  assign offset_0 = unpack_float(record[95:64]);
  always_ff @(posedge clk) begin
    moved <= enable[STEPS-2:0];
    if (valid) begin
      is_add[1] <= adds;
      b_ratio_1 <= b_ratio_0.mantissa;
      factor[1] <= unpack_factor(record[31:0]);
      offset[1] <= offset_0;
      y_zero[1] <= adds ? 8'd0 : record[119:112];
    end
    for (int i = 2; i <= 5; i++)
      if (enable[i-1]) begin
        is_add[i] <= is_add[i-1];
        factor[i] <= factor[i-1];
        offset[i] <= offset[i-1];
      end
    for (int i = 2; i <= 10; i++) if (enable[i-1]) y_zero[i] <= y_zero[i-1];
  end

  // The offset meets the same ratio in all lanes.
  logic              alone_2, sign_2;
  logic signed [9:0] exponent_2;
  logic [61:0]       window_2;
  sf_float_align u_align (
      .clk,
      .enable({enable[1] && is_add[1], valid && adds}),
      .addend(offset_0),
      .no_product(1'b0),
      .product_exponent(b_ratio_0.exponent),
      .alone(alone_2),
      .sign(sign_2),
      .exponent(exponent_2),
      .window(window_2)
  );

  for (genvar lane = 0; lane < LANES; lane++) begin : gen_lane
    sf_pair_lane #(
        .ADDS(ADDS)
    ) u_lane (
        .clk,
        .enable,
        .add_enable(enable[4:1] & is_add[4:1]),
        .a_0(a[lane]),
        .b_0(b[lane]),
        .a_zero_0(adds ? 8'd0 : record[103:96]),
        .b_zero_0(adds ? 8'd0 : record[111:104]),
        .add_1(is_add[1]),
        .b_ratio_1,
        .alone_2,
        .sign_2,
        .exponent_2,
        .window_2,
        .offset_5(offset[5]),
        .add_5(is_add[5]),
        .factor_5(factor[5]),
        .y_zero_10(y_zero[10]),
        .result(result[lane])
    );
  end

  wire logic unused = &{1'b0, record[127:120]};
endmodule
`default_nettype wire
