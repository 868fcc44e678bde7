`default_nettype none
// Splits a scratchpad address into its bank and its word there: address = bank * BANK_WORDS + offset.
// A bank size of ODD * 2^k words divides by ODD as a multiplication by its reciprocal, rounded up: with N bits above k and
// l = clog2(ODD), floor(x / ODD) = floor(x * ceil(2^(N+l) / ODD) / 2^(N+l)) for every x < 2^N
// (Granlund, Montgomery 1994, theorem 4.2).
module sf_bank_index #(
    parameter int BANK_WORDS = 1024,
    parameter int BANK_BITS  = sf_pkg::ADDRESS_BITS
) (
    input  wire logic [sf_pkg::ADDRESS_BITS-1:0] address,
    output logic      [           BANK_BITS-1:0] bank,
    output logic      [  $clog2(BANK_WORDS)-1:0] offset
);
  function automatic int trailing_zeros(input int value);
    trailing_zeros = 0;
    while (((value >> trailing_zeros) & 1) == 0) trailing_zeros++;
  endfunction

  localparam int LOW = trailing_zeros(BANK_WORDS);
  localparam int ODD = BANK_WORDS >> LOW;
  localparam int HIGH = sf_pkg::ADDRESS_BITS - LOW;

  if (ODD == 1) begin : slices
    assign bank   = BANK_BITS'(address >> LOW);
    assign offset = address[LOW-1:0];
  end else begin : divides
    localparam int SHIFT = HIGH + $clog2(ODD);
    localparam longint RECIPROCAL = ((64'd1 << SHIFT) + 64'(ODD) - 1) / 64'(ODD);
    logic [HIGH+SHIFT:0] product;
    assign product = (HIGH + SHIFT + 1)'(address[sf_pkg::ADDRESS_BITS-1:LOW]) * (HIGH + SHIFT + 1)'(RECIPROCAL);
    assign bank = BANK_BITS'(product >> SHIFT);
    assign offset = ($clog2(BANK_WORDS))'(address - sf_pkg::ADDRESS_BITS'(bank) * sf_pkg::ADDRESS_BITS'(BANK_WORDS));
  end
endmodule
`default_nettype wire
