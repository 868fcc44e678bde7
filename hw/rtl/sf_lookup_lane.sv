`default_nettype none
// One lane of sf_lookup: its own copy of the table in distributed RAM, DEPTH words of BYTES bytes that are written part by part.
module sf_lookup_lane #(
    parameter int DEPTH = 32,
    parameter int PARTS = 1,
    parameter int PART_BYTES = 8
) (
    input  wire logic                                   clk,
    input  wire logic [PARTS-1:0]                       write,
    input  wire logic [$clog2(DEPTH)-1:0]               write_word,
    input  wire logic [PARTS-1:0][PART_BYTES-1:0][7:0]  write_data,
    input  wire logic                                   valid,
    input  wire logic                                   enable,
    input  wire logic [7:0]                             place,   // of the byte that `value` stands for
    input  wire logic [7:0]                             value,
    output      logic [7:0]                             result
);
  localparam int BYTES = PARTS * PART_BYTES;
  localparam int BYTE_BITS = $clog2(BYTES);

  logic [BYTES-1:0][7:0] word;
  for (genvar p = 0; p < PARTS; p++) begin : g_part
    (* ram_style = "distributed" *)
    logic [PART_BYTES-1:0][7:0] memory[DEPTH];
    always_ff @(posedge clk) if (write[p]) memory[write_word] <= write_data[p];
    assign word[p*PART_BYTES +: PART_BYTES] = memory[place[7:BYTE_BITS]];
  end

  always_ff @(posedge clk) if (valid) result <= enable ? word[place[BYTE_BITS-1:0]] : value;
endmodule
`default_nettype wire
