`default_nettype none
// A table of 256 bytes, looked up by all lanes at once; result in the next cycle. It is kept in the words in which it arrives, its
// last bytes in front of its first ones where it begins within a word: `at` bytes into the head of the parameter block, a multiple
// of 16, the size of a record. One read port of distributed RAM is a copy of the table, so each lane has its own.
module sf_lookup #(
    parameter int LANES_IN = 8,  // bytes of a word
    parameter int LANES = 8      // lookups
) (
    input  wire logic                     clk,
    input  wire logic                     head_valid,
    input  wire logic [7:0]               head_index,
    input  wire logic [LANES_IN-1:0][7:0] head_data,
    input  wire logic [9:0]               at,
    input  wire logic                     valid,
    input  wire logic                     enable,  // else the values pass unchanged
    input  wire logic [LANES-1:0][7:0]    value,
    output      logic [LANES-1:0][7:0]    result
);
  localparam int DEPTH = 256 / LANES_IN;
  localparam int PARTS = LANES_IN > 16 ? LANES_IN / 16 : 1;  // of a word, each inside the table or outside
  localparam int PART_BYTES = LANES_IN / PARTS;

  logic [PARTS-1:0] write;
  logic [15:0] byte_of_part[PARTS];  // of the table; before it: large
  always_comb begin
    for (int p = 0; p < PARTS; p++) begin
      byte_of_part[p] = 16'(head_index) * 16'(LANES_IN) + 16'(p * PART_BYTES) - 16'(at);
      write[p] = head_valid && byte_of_part[p] < 256;
    end
  end

  for (genvar i = 0; i < LANES; i++) begin : g_lane
    sf_lookup_lane #(
        .DEPTH(DEPTH),
        .PARTS(PARTS),
        .PART_BYTES(PART_BYTES)
    ) u_lane (
        .clk,
        .write,
        .write_word(head_index[$clog2(DEPTH)-1:0]),
        .write_data(head_data),
        .valid,
        .enable,
        .place(value[i] + at[7:0]),
        .value(value[i]),
        .result(result[i])
    );
  end
endmodule
`default_nettype wire
