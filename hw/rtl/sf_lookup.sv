`default_nettype none
// A table of 256 bytes, looked up by all lanes at once; result in the next cycle. It is kept in the words in which it arrives, so
// that it may begin `at` bytes into the head of the parameter block.
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
  localparam int LANE_BITS = $clog2(LANES_IN);
  localparam int WORDS = 256 / LANES_IN + 1;
  localparam int WORD_BITS = $clog2(WORDS);
  logic [LANES_IN-1:0][7:0] words[WORDS];
  logic [7:0] first;  // word of the head in which the table begins

  assign first = 8'(at >> LANE_BITS);

  always_ff @(posedge clk) begin
    if (head_valid && head_index >= first && 32'(head_index - first) < WORDS) begin
      words[WORD_BITS'(head_index - first)] <= head_data;
    end
  end

  always_ff @(posedge clk) begin
    if (valid) begin
      for (int i = 0; i < LANES; i++) begin
        result[i] <= enable ? looked_up(9'(value[i]) + 9'(at[LANE_BITS-1:0])) : value[i];
      end
    end
  end

  function automatic logic [7:0] looked_up(input logic [8:0] place);
    return words[WORD_BITS'(place >> LANE_BITS)][place[LANE_BITS-1:0]];
  endfunction
endmodule
`default_nettype wire
