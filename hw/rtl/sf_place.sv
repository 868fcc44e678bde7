`default_nettype none
// Scratchpad word of a pixel of an operand: base + slot(row) * row_words + column * pixel_words + offset, PLACE_LATENCY cycles
// later. `row` counts from the operand's first row, of which at most `ring` are used. An address that no scratchpad has stays one.
module sf_place
  import sf_compute_pkg::*;
(
    input  wire logic        clk,
    input  wire sf_operand_t operand,
    input  wire logic [15:0] row,
    input  wire logic [15:0] column,
    input  wire logic [16:0] offset,
    output      logic [19:0] address
);
  logic [16:0] slot_next;
  logic [15:0] slot_q, column_q;
  logic [16:0] offset_q, offset_qq;
  logic [41:0] rows_q;
  logic [25:0] columns_q;
  logic [42:0] sum;

  assign slot_next = {1'b0, operand.slot} + {1'b0, row};
  assign sum = {1'b0, rows_q} + 43'(columns_q) + 43'(offset_qq) + 43'(operand.base);

  always_ff @(posedge clk) begin
    slot_q <= 16'(slot_next >= {1'b0, operand.ring} ? slot_next - {1'b0, operand.ring} : slot_next);
    column_q <= column;
    offset_q <= offset;
    rows_q <= slot_q * operand.row_words;
    columns_q <= column_q * operand.pixel_words;
    offset_qq <= offset_q;
    address <= |sum[42:20] ? '1 : sum[19:0];
  end
endmodule
`default_nettype wire
