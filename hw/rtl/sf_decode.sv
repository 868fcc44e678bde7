// What one word is: whether the instruction set knows it, and which engine executes it.
`default_nettype none
module sf_decode
  import sf_isa_pkg::*;
(
    input  wire logic [255:0] word,
    output      logic         legal,       // a known opcode, no bit set outside its fields, and for SYNC an engine that exists
    output      logic         for_engine,  // not LOOP, HOST or END
    output      logic [1:0]   engine
);
  /* verilator lint_off UNUSEDSIGNAL */  // of each format the bits outside the fields, and SYNC's engine
  sf_load_t    as_transfer;              // LOAD and STORE have one format
  sf_setup_t   as_setup;
  sf_phase_t   as_phase;
  sf_compute_t as_compute;
  sf_sync_t    as_sync;
  sf_loop_t    as_loop;
  sf_host_t    as_host;
  sf_end_t     as_end;
  /* verilator lint_on UNUSEDSIGNAL */

  always_comb begin
    as_transfer = word;
    as_setup    = word;
    as_phase    = word;
    as_compute  = word;
    as_sync     = word;
    as_loop     = word;
    as_host     = word;
    as_end      = word;
    for_engine  = 1'b1;
    engine      = ENGINE_COMPUTE;
    unique case (word[OPCODE_BITS-1:0])
      OPCODE_LOAD: begin
        legal  = as_transfer.unused == '0;
        engine = ENGINE_LOAD;
      end
      OPCODE_STORE: begin
        legal  = as_transfer.unused == '0;
        engine = ENGINE_STORE;
      end
      OPCODE_SETUP:   legal = as_setup.unused == '0;
      OPCODE_PHASE:   legal = as_phase.unused == '0;
      OPCODE_COMPUTE: legal = as_compute.unused == '0;
      OPCODE_SYNC: begin
        legal  = as_sync.unused == '0 && as_sync.engine <= ENGINE_STORE;
        engine = as_sync.engine;
      end
      OPCODE_LOOP: begin
        legal      = as_loop.unused == '0;
        for_engine = 1'b0;
      end
      OPCODE_HOST: begin
        legal      = as_host.unused == '0;
        for_engine = 1'b0;
      end
      OPCODE_END: begin
        legal      = as_end.unused == '0;
        for_engine = 1'b0;
      end
      default: begin
        legal      = 1'b0;
        for_engine = 1'b0;
      end
    endcase
  end
endmodule
`default_nettype wire
