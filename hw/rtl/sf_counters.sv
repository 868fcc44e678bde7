// What a run did: cycles, bytes and busy cycles. They stand still while nothing runs and start from 0 with each run.
`default_nettype none
module sf_counters (
    input  wire logic             clk,
    input  wire logic             clear,
    input  wire logic             running,
    input  wire logic [2:0]       busy,           // by engine
    input  wire logic [2:0]       fetched_words,
    input  wire logic             load_retires,
    input  wire logic [31:0]      load_size,      // bytes of the LOAD that retires
    input  wire logic             store_retires,
    input  wire logic [31:0]      store_size,
    output      logic [63:0]      cycles,
    output      logic [63:0]      fetch_bytes,
    output      logic [63:0]      load_bytes,
    output      logic [63:0]      store_bytes,
    output      logic [2:0][63:0] busy_cycles
);
  always_ff @(posedge clk) begin
    if (clear) begin
      cycles      <= '0;
      fetch_bytes <= '0;
      load_bytes  <= '0;
      store_bytes <= '0;
      busy_cycles <= '0;
    end else begin
      if (running) cycles <= cycles + 64'd1;
      if (fetched_words != '0) fetch_bytes <= fetch_bytes + {56'd0, fetched_words, 5'd0};
      if (load_retires) load_bytes <= load_bytes + {32'd0, load_size};
      if (store_retires) store_bytes <= store_bytes + {32'd0, store_size};
      for (int e = 0; e < 3; e++) begin
        if (running && busy[e]) busy_cycles[e] <= busy_cycles[e] + 64'd1;
      end
    end
  end
endmodule
`default_nettype wire
