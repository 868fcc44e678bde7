// Two masters share the read channels: fetch has ID 0 and goes first, since it asks rarely and for little; load has ID 1.
//
// A request that the bus has seen stays until it is accepted. Data find their master by ID, so a memory may answer in any order.
`default_nettype none
module sf_read_arbiter (
    input  wire logic        clk,
    input  wire logic        rst,
    input  wire logic        fetch_ar_valid,
    output      logic        fetch_ar_ready,
    input  wire logic [63:0] fetch_ar_address,
    input  wire logic [7:0]  fetch_ar_length,
    output      logic        fetch_r_valid,
    input  wire logic        fetch_r_ready,
    input  wire logic        load_ar_valid,
    output      logic        load_ar_ready,
    input  wire logic [63:0] load_ar_address,
    input  wire logic [7:0]  load_ar_length,
    output      logic        load_r_valid,
    input  wire logic        load_r_ready,
    output      logic        ar_valid,
    input  wire logic        ar_ready,
    output      logic        ar_id,
    output      logic [63:0] ar_address,
    output      logic [7:0]  ar_length,
    input  wire logic        r_valid,
    output      logic        r_ready,
    input  wire logic        r_id
);
  logic loading;  // load's request has been on the bus for a cycle and more

  assign ar_id          = loading || !fetch_ar_valid;
  assign ar_valid       = ar_id ? load_ar_valid : fetch_ar_valid;
  assign ar_address     = ar_id ? load_ar_address : fetch_ar_address;
  assign ar_length      = ar_id ? load_ar_length : fetch_ar_length;
  assign fetch_ar_ready = ar_ready && !ar_id;
  assign load_ar_ready  = ar_ready && ar_id;

  assign fetch_r_valid = r_valid && !r_id;
  assign load_r_valid  = r_valid && r_id;
  assign r_ready       = r_id ? load_r_ready : fetch_r_ready;

  always_ff @(posedge clk) begin
    if (rst) loading <= 1'b0;
    else loading <= ar_id && ar_valid && !ar_ready;
  end
endmodule
`default_nettype wire
