// Float32 steps that the arithmetic units are made of, and the latencies of those units.
//
// Inside the units a float is an sf_float_t: the exponent has room for every product and quotient of float32
// values, so nothing overflows or underflows on the way, and nothing needs infinities. A subnormal input is a mantissa
// without its leading one.
/* verilator lint_off UNUSEDPARAM */ // a unit takes only its own latency
`default_nettype none
package sf_float_pkg;
  localparam int BYTE_LATENCY = 4;     // sf_float_byte
  localparam int DIVIDE_LATENCY = 14;  // sf_float_divide

  localparam int REQUANTISE_LATENCY = 8;
  localparam int PAIR_LATENCY = 14;
  localparam int AVERAGE_STEP_LATENCY = 6;
  localparam int AVERAGE_INTERVAL = 8;  // least cycles from one input of sf_average_finish to the next
  localparam int AVERAGE_FINISH_LATENCY = 2 * DIVIDE_LATENCY + BYTE_LATENCY + AVERAGE_INTERVAL;

  // mantissa * 2**(exponent - 23); mantissa 0 is zero whatever the exponent.
  typedef struct packed {
    logic              sign;
    logic signed [9:0] exponent;
    logic [23:0]       mantissa;
  } sf_float_t;

  // The same value with the sign in the mantissa, as a multiplier wants it.
  typedef struct packed {
    logic signed [9:0]  exponent;
    logic signed [24:0] mantissa;
  } sf_factor_t;

  function automatic sf_float_t unpack_float(input logic [31:0] bits);
    logic normal;
    normal = bits[30:23] != 0;
    unpack_float.sign = bits[31];
    unpack_float.exponent = signed'({2'b00, bits[30:24], bits[23] | ~normal}) - 10'sd127;
    unpack_float.mantissa = {normal, bits[22:0]};
  endfunction

  function automatic sf_factor_t unpack_factor(input logic [31:0] bits);
    sf_float_t value;
    value = unpack_float(bits);
    unpack_factor.exponent = value.exponent;
    unpack_factor.mantissa = value.sign ? -25'(value.mantissa) : 25'(value.mantissa);
  endfunction

  // Float32 bits of a normalised value; below 2**-126 zero, from 2**128 infinity.
  function automatic logic [31:0] pack_float(input sf_float_t value);
    logic signed [9:0] biased;
    biased = value.exponent + 10'sd127;
    if (value.mantissa == 0 || biased < 10'sd1) pack_float = 32'd0;
    else if (biased > 10'sd254) pack_float = {value.sign, 8'hff, 23'd0};
    else pack_float = {value.sign, biased[7:0], value.mantissa[22:0]};
  endfunction

  function automatic logic [1:0] first_other(input logic top, input logic second, input logic third);
    first_other = top ? 2'd0 : second ? 2'd1 : third ? 2'd2 : 2'd3;
  endfunction

  // Shifts `value`, whose sign is not part of it, until its top bit is not a copy of the sign: by `places`, three radix-4 steps.
  function automatic void normalise(input logic sign, input logic [63:0] value, output logic [63:0] normal,
                                    output logic [5:0] places);
    logic [15:0] copies;
    logic [63:0] by_16, by_4;
    copies = {16{sign}};
    places[5:4] = first_other(value[63:48] != copies, value[47:32] != copies, value[31:16] != copies);
    by_16 = value << {places[5:4], 4'd0};
    places[3:2] = first_other(by_16[63:60] != copies[3:0], by_16[59:56] != copies[3:0], by_16[55:52] != copies[3:0]);
    by_4 = by_16 << {places[3:2], 2'd0};
    places[1:0] = first_other(by_4[63] != sign, by_4[62] != sign, by_4[61] != sign);
    normal = by_4 << places[1:0];
  endfunction

  // Arithmetic shift to the right, three radix-4 steps, the small ones first: what is shifted is narrow and at the top. Where
  // bits were lost that are not copies of the sign, bit 0 is not one either and stands for them: later roundings only ask
  // whether there was anything.
  function automatic logic [63:0] shift_right(input logic sign, input logic [63:0] value, input logic [5:0] places);
    logic        lost;
    logic [63:0] by_1, by_4, by_16;
    by_1 = signed'(value) >>> places[1:0];
    by_4 = signed'(by_1) >>> {places[3:2], 2'd0};
    by_16 = signed'(by_4) >>> {places[5:4], 4'd0};
    lost = ((value[2:0] ^ {3{sign}}) & ~(3'b111 << places[1:0])) != 0
        || ((by_1[11:0] ^ {12{sign}}) & ~(12'hfff << {places[3:2], 2'd0})) != 0
        || ((by_4[47:0] ^ {48{sign}}) & ~(48'hffff_ffff_ffff << {places[5:4], 4'd0})) != 0;
    shift_right = {by_16[63:1], lost ? !sign : by_16[0]};
  endfunction

  // Round to nearest even at 24 bits. `value` is zero or has bit 63 set, whose weight is 2**exponent; its bit 0 may stand
  // for any number of bits below.
  function automatic sf_float_t round_float(input logic sign, input logic signed [9:0] exponent, input logic [63:0] value);
    logic              up;
    logic signed [9:0] carried;
    logic [22:0]       fraction;
    up = value[39] && (value[40] || value[38:0] != 0);
    {carried, fraction} = {exponent, value[62:40]} + 33'(up);  // the carry of a fraction of ones belongs to the exponent
    round_float.sign = sign;
    round_float.exponent = carried;
    round_float.mantissa = {value[63], fraction};
  endfunction

  // Product of an integer of -256..-129 or 128..255 and a normal mantissa, rounded in place to nearest even at 24 bits, which is
  // at the lowest 8 or 7 bits. 255 * (2**24 - 1) rounds to less than 2**32.
  function automatic logic signed [33:0] round_product(input logic signed [33:0] product);
    logic up;
    if (product[31] != product[33]) begin
      up = product[7] && (product[8] || product[6:0] != 0);
      round_product = {product[33:8] + 26'(up), 8'd0};
    end else begin
      up = product[6] && (product[7] || product[5:0] != 0);
      round_product = {product[33:7] + 27'(up), 7'd0};
    end
  endfunction

  function automatic logic [7:0] saturate_byte(input logic signed [9:0] value);
    if (value > 10'sd127) saturate_byte = 8'h7f;
    else if (value < -10'sd128) saturate_byte = 8'h80;
    else saturate_byte = value[7:0];
  endfunction
endpackage
`default_nettype wire
/* verilator lint_on UNUSEDPARAM */
