// The registers of registers.py behind an AXI4-Lite port; every access answers OKAY, what does not exist reads 0.
//
// Reading the low half of a counter keeps the high half as it is at that moment for the read of it that follows. The settings keep
// their values while a program runs: a write to them then does nothing.
`default_nettype none
module sf_registers
  import sf_registers_pkg::*;
#(
    parameter int LANES_IN = 8,
    parameter int LANES_OUT = 8,
    parameter int BANKS = 8,
    parameter int BANK_WORDS = 1024,
    parameter int ACC_PIXELS = 64,
    parameter int DRAM_BYTES = 8
) (
    input  wire logic        clk,
    input  wire logic        rst,
    input  wire logic        clear,          // the settings become 0
    input  wire logic        aw_valid,
    output      logic        aw_ready,
    input  wire logic [7:0]  aw_address,
    input  wire logic        w_valid,
    output      logic        w_ready,
    input  wire logic [31:0] w_data,
    input  wire logic [3:0]  w_strobe,
    output      logic        b_valid,
    input  wire logic        b_ready,
    input  wire logic        ar_valid,
    output      logic        ar_ready,
    input  wire logic [7:0]  ar_address,
    output      logic        r_valid,
    input  wire logic        r_ready,
    output      logic [31:0] r_data,
    // What is set.
    output      logic        start,          // pulses
    output      logic        resume,
    output      logic        reset,
    output      logic [63:0] base,
    output      logic [31:0] program_words,
    output      logic [31:0] dram_limit,
    output      logic [31:0] watchdog,
    // What is seen.
    input  wire logic [3:0]  status,
    input  wire logic [7:0]  error,
    input  wire logic [19:0] error_word,
    input  wire logic [15:0] host_index,
    input  wire logic [63:0] cycles,
    input  wire logic [63:0] fetch_bytes,
    input  wire logic [63:0] load_bytes,
    input  wire logic [63:0] store_bytes,
    input  wire logic [2:0][63:0] busy_cycles
);
  logic        writes;
  logic        reads;
  logic        settable;
  logic [31:0] bit_mask;
  logic [31:0] high_half;

  assign writes   = aw_valid && w_valid && !b_valid;
  assign aw_ready = writes;
  assign w_ready  = writes;
  assign reads    = ar_valid && !r_valid;
  assign ar_ready = !r_valid;
  assign settable = !status[STATUS_BUSY] && !status[STATUS_HOST];
  always_comb begin
    for (int i = 0; i < 4; i++) bit_mask[8*i+:8] = {8{w_strobe[i]}};
  end

  function automatic logic [31:0] merged(logic [31:0] old, logic [31:0] value, logic [31:0] mask);
    return (old & ~mask) | (value & mask);
  endfunction

  always_ff @(posedge clk) begin
    start  <= 1'b0;
    resume <= 1'b0;
    reset  <= 1'b0;
    if (rst) begin
      b_valid <= 1'b0;
    end else if (writes) begin
      b_valid <= 1'b1;
      if (aw_address == REG_CONTROL && w_strobe[0]) begin
        start  <= w_data[CONTROL_START];
        resume <= w_data[CONTROL_RESUME];
        reset  <= w_data[CONTROL_RESET];
      end
    end else if (b_ready) begin
      b_valid <= 1'b0;
    end
  end

  always_ff @(posedge clk) begin
    if (rst || clear) begin
      base          <= '0;
      program_words <= '0;
      dram_limit    <= '0;
      watchdog      <= '0;
    end else if (writes && settable) begin
      unique case (aw_address)
        // Bursts are cut at 4 KiB of the offset, so `base` has to be a multiple of it.
        REG_BASE: base[31:0] <= merged(base[31:0], w_data, bit_mask & ~32'hfff);
        REG_BASE + 8'd4: base[63:32] <= merged(base[63:32], w_data, bit_mask);
        REG_PROGRAM_WORDS: program_words <= merged(program_words, w_data, bit_mask);
        REG_DRAM_LIMIT: dram_limit <= merged(dram_limit, w_data, bit_mask);
        REG_WATCHDOG: watchdog <= merged(watchdog, w_data, bit_mask);
        default: ;
      endcase
    end
  end

  // Counters, and `base`, by their low halves.
  logic        is_wide;
  logic [63:0] wide;
  always_comb begin
    is_wide = 1'b1;
    unique case (ar_address)
      REG_BASE:         wide = base;
      REG_CYCLES:       wide = cycles;
      REG_FETCH_BYTES:  wide = fetch_bytes;
      REG_LOAD_BYTES:   wide = load_bytes;
      REG_STORE_BYTES:  wide = store_bytes;
      REG_LOAD_BUSY:    wide = busy_cycles[0];
      REG_COMPUTE_BUSY: wide = busy_cycles[1];
      REG_STORE_BUSY:   wide = busy_cycles[2];
      default: begin
        wide    = '0;
        is_wide = 1'b0;
      end
    endcase
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      r_valid <= 1'b0;
    end else if (reads) begin
      r_valid <= 1'b1;
      if (is_wide) high_half <= wide[63:32];
      unique case (ar_address)
        REG_IDENTITY:           r_data <= IDENTITY;
        REG_STATUS:             r_data <= {28'd0, status};
        REG_ERROR:              r_data <= {24'd0, error};
        REG_ERROR_WORD:         r_data <= {12'd0, error_word};
        REG_HOST_INDEX:         r_data <= {16'd0, host_index};
        REG_PROGRAM_WORDS:      r_data <= program_words;
        REG_DRAM_LIMIT:         r_data <= dram_limit;
        REG_WATCHDOG:           r_data <= watchdog;
        REG_LANES_IN:           r_data <= 32'(LANES_IN);
        REG_LANES_OUT:          r_data <= 32'(LANES_OUT);
        REG_BANKS:              r_data <= 32'(BANKS);
        REG_BANK_WORDS:         r_data <= 32'(BANK_WORDS);
        REG_ACCUMULATOR_PIXELS: r_data <= 32'(ACC_PIXELS);
        REG_DRAM_WORD_BYTES:    r_data <= 32'(DRAM_BYTES);
        REG_BASE + 8'd4, REG_CYCLES + 8'd4, REG_FETCH_BYTES + 8'd4, REG_LOAD_BYTES + 8'd4, REG_STORE_BYTES + 8'd4,
        REG_LOAD_BUSY + 8'd4, REG_COMPUTE_BUSY + 8'd4, REG_STORE_BUSY + 8'd4:
        r_data <= high_half;
        default:                r_data <= wide[31:0];
      endcase
    end else if (r_ready) begin
      r_valid <= 1'b0;
    end
  end
endmodule
`default_nettype wire
