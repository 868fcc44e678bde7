// Eight lanes of sf_average_finish, one after the other through two dividers.
`default_nettype none
module sf_average_finish_group (
    input  wire logic                                                                clk,
    input  wire logic                                                                valid,
    input  wire logic [2*sf_float_pkg::DIVIDE_LATENCY+sf_float_pkg::BYTE_LATENCY:0]  enable,
    input  wire logic [7:0][31:0]                                                    total,    // in the cycle of `valid`
    input  wire sf_float_pkg::sf_float_t                                             count,    // in those of enable[0]
    input  wire sf_float_pkg::sf_float_t                                             y_scale,  // of the second divider's start
    input  wire logic [7:0]                                                          y_zero,   // of sf_float_byte's start
    output logic [7:0][7:0]                                                          result
);
  import sf_float_pkg::*;
  localparam int SECOND = DIVIDE_LATENCY;
  localparam int THIRD = 2 * DIVIDE_LATENCY;
  localparam int LAST = THIRD + BYTE_LATENCY;

  logic [7:0][31:0] waiting;
  always_ff @(posedge clk)
    if (valid) waiting <= total;
    else if (enable[0]) waiting <= {32'd0, waiting[7:1]};

  sf_float_t mean, scaled;
  sf_float_divide u_mean (
      .clk,
      .enable(enable[SECOND-1:0]),
      .numerator(unpack_float(waiting[0])),
      .denominator(count),
      .quotient(mean)
  );
  sf_float_divide u_scaled (
      .clk,
      .enable(enable[THIRD-1:SECOND]),
      .numerator(mean),
      .denominator(y_scale),
      .quotient(scaled)
  );

  // The last lane's byte is the newest; the others have waited for it.
  logic [7:0]      newest;
  logic [6:0][7:0] earlier;
  sf_float_byte u_byte (
      .clk,
      .enable(enable[LAST-1:THIRD]),
      .value(scaled),
      .zero(y_zero),
      .result(newest)
  );
  always_ff @(posedge clk) if (enable[LAST]) earlier <= {newest, earlier[6:1]};
  assign result = {newest, earlier};
endmodule
`default_nettype wire
