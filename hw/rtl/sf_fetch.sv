// Reads the program ahead of need, in order, every word once: bursts of whole chunks into a queue of 64 words.
//
// At most two chunks are under way, so that a long program does not stand between the first LOAD and the bus. `base` is a multiple
// of 4 KiB and a chunk a power of two, so no burst crosses 4 KiB. The beat of the last word may reach beyond the program; what does
// is dropped and not counted.
`default_nettype none
module sf_fetch #(
    parameter int DRAM_BYTES = 8
) (
    input  wire logic                       clk,
    input  wire logic                       rst,
    input  wire logic                       halt,
    input  wire logic [63:0]                base,
    input  wire logic [20:0]                program_words,
    output      logic                       ar_valid,
    input  wire logic                       ar_ready,
    output      logic [63:0]                ar_address,
    output      logic [7:0]                 ar_length,
    input  wire logic                       r_valid,
    output      logic                       r_ready,
    input  wire logic [DRAM_BYTES-1:0][7:0] r_data,
    input  wire logic [1:0]                 r_response,
    input  wire logic                       r_last,
    output      logic                       word_valid,
    input  wire logic                       word_ready,
    output      logic [255:0]               word,
    output      logic [2:0]                 arrived,       // words that came in this cycle
    output      logic                       idle,          // no burst asked for or under way
    output      logic                       fault,         // a beat with an error
    output      logic [19:0]                fault_index    // its first word
);
  localparam int WORD_BYTES = 32;
  localparam int ENTRY_WORDS = DRAM_BYTES > WORD_BYTES ? DRAM_BYTES / WORD_BYTES : 1;
  localparam int ENTRY_BITS = 256 * ENTRY_WORDS;
  localparam int QUEUE_WORDS = 64;
  localparam int CHUNK_WORDS = DRAM_BYTES > 16 ? 16 : 8;
  localparam int CHUNK_BITS = $clog2(CHUNK_WORDS);

  // Requests.
  logic [20:0] asked;          // words that bursts have been asked for
  logic [20:0] ahead;          // words that no burst has been asked for
  logic [6:0]  reserved;       // room in the queue that is taken or spoken for, in words
  logic [1:0]  bursts;         // under way
  logic        ask;
  logic [CHUNK_BITS:0] chunk;  // words of the next burst
  logic        burst_ends;
  logic        word_taken;

  assign ahead      = program_words - asked;
  assign chunk      = ahead < 21'(CHUNK_WORDS) ? ahead[CHUNK_BITS:0] : (CHUNK_BITS + 1)'(CHUNK_WORDS);
  assign ask        = !halt && !ar_valid && ahead != '0 && bursts != 2'd2 && reserved <= 7'(QUEUE_WORDS - CHUNK_WORDS);
  assign burst_ends = r_valid && r_last;
  assign word_taken = word_valid && word_ready;
  assign idle       = bursts == '0;

  always_ff @(posedge clk) begin
    if (rst) begin
      asked    <= '0;
      reserved <= '0;
      bursts   <= '0;
      ar_valid <= 1'b0;
    end else begin
      // The last chunk may be short; nothing follows that could use the room it leaves.
      reserved <= reserved + (ask ? 7'(CHUNK_WORDS) : 7'd0) - 7'(word_taken);
      bursts   <= bursts + 2'(ask) - 2'(burst_ends);
      if (ask) begin
        asked      <= asked + 21'(chunk);
        ar_valid   <= 1'b1;
        ar_address <= base + {38'd0, asked, 5'd0};
        ar_length  <= 8'((12'(chunk) * 12'(WORD_BYTES) + 12'(DRAM_BYTES - 1)) / 12'(DRAM_BYTES) - 12'd1);
      end else if (ar_ready) begin
        ar_valid <= 1'b0;
      end
    end
  end

  // Arrivals: beats become entries of at least a word. There is room for all that was asked for.
  logic                  entry_valid;
  logic [ENTRY_BITS-1:0] entry;
  logic [20:0]           received;  // words
  logic [20:0]           missing;

  assign r_ready = 1'b1;
  assign missing = program_words - received;
  if (DRAM_BYTES < WORD_BYTES) begin : g_narrow
    localparam int BEATS = WORD_BYTES / DRAM_BYTES;
    logic [$clog2(BEATS)-1:0]        beat;
    logic [255:8*DRAM_BYTES] earlier;
    assign entry       = {r_data, earlier};
    assign entry_valid = r_valid && beat == '1;
    always_ff @(posedge clk) begin
      if (rst) beat <= '0;
      else if (r_valid) beat <= beat + 1'b1;
      if (r_valid) earlier <= entry[255:8*DRAM_BYTES];
    end
  end else begin : g_wide
    assign entry       = r_data;
    assign entry_valid = r_valid;
  end

  always_comb begin
    arrived = '0;
    if (entry_valid) arrived = missing < 21'(ENTRY_WORDS) ? missing[2:0] : 3'(ENTRY_WORDS);
  end
  always_ff @(posedge clk) begin
    if (rst) received <= '0;
    else received <= received + 21'(arrived);
  end

  assign fault       = r_valid && r_response != '0;
  assign fault_index = received[19:0];

  // Departures: an entry leaves with its last word.
  logic                  out_valid;
  logic                  out_ready;
  logic [ENTRY_BITS-1:0] out_entry;
  /* verilator lint_off PINCONNECTEMPTY */ // in_ready: the requests keep count of the room
  sf_fifo #(
      .WIDTH(ENTRY_BITS),
      .DEPTH(QUEUE_WORDS / ENTRY_WORDS)
  ) u_queue (
      .clk,
      .rst,
      .in_valid (entry_valid),
      .in_ready (),
      .in_data  (entry),
      .out_valid,
      .out_ready,
      .out_data (out_entry)
  );
  /* verilator lint_on PINCONNECTEMPTY */

  assign word_valid = out_valid;
  if (ENTRY_WORDS > 1) begin : g_select
    logic [$clog2(ENTRY_WORDS)-1:0] place;
    logic [ENTRY_WORDS-1:0][255:0]  words;
    assign words     = out_entry;
    assign word      = words[place];
    assign out_ready = word_ready && place == '1;
    always_ff @(posedge clk) begin
      if (rst) place <= '0;
      else if (word_taken) place <= place + 1'b1;
    end
  end else begin : g_single
    assign word      = out_entry;
    assign out_ready = word_ready;
  end
endmodule
`default_nettype wire
