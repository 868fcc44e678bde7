// Drives the instruction, token and halt side of a DMA engine from a file, and writes what happens to another.
//
// The file: a line of settings, then a line for each instruction. After a halt or a fault the engine has to come to rest, all
// bursts complete, and stay so; then it is reset and goes on with the next instruction.
`default_nettype none
module sf_episodes (
    output logic clk,
    output logic rst,
    output logic halt,

    output logic                   issue_valid,
    output sf_pkg::sf_issue_t      issue,
    input  wire logic              issue_ready,

    input  wire logic             take_valid,
    input  wire logic [1:0][15:0] take,
    output logic                  take_ready,
    input  wire logic             give_valid,
    input  wire logic [1:0][15:0] give,

    input wire logic        busy,
    input wire logic        idle,
    input wire logic        retire,
    input wire logic [19:0] trace_index,
    input wire logic [31:0] trace_address,
    input wire logic [31:0] trace_bytes,
    input wire logic        fault,
    input wire logic [ 7:0] fault_code,
    input wire logic [19:0] fault_index,

    // What the engine does on the bus.
    input wire logic address_event,  // an address is valid
    input wire logic address_taken,
    input wire logic data_event,  // the first of its data
    input wire logic end_event,  // the last of its answers
    input wire logic quiet,  // the memory has nothing to do

    output integer        results,  // file
    output integer        stall,  // of 256 cycles, those that anything waits in
    output integer        latency,  // of the memory
    output logic [63:0] base,
    output logic [32:0] dram_limit,
    output logic [63:0] error_low,  // bus addresses that answer with an error
    output logic [63:0] error_high,
    output logic        patient  // the memory takes a write address only when it sees data
);
  localparam int NEVER = 65535;
  localparam int WAITING = 65534;  // while it waits for its tokens; then it has another chance
  localparam int REST = 40;  // cycles that an engine is watched at rest

  logic [255:0] words[$];
  logic [15:0] rows[$], channels[$];
  int halts[$];

  initial begin
    string name;
    int file, seed, halt_after, found;
    logic [255:0] word;
    logic [15:0] row, channel;
    if (!$value$plusargs("vectors=%s", name)) $fatal(1, "no +vectors=FILE");
    file = $fopen(name, "r");
    if (file == 0) $fatal(1, "no file %s", name);
    found = $fscanf(file, "%d %d %d %h %h %h %h %b\n", seed, stall, latency, base, dram_limit, error_low, error_high, patient);
    if (found != 8) $fatal(1, "%d settings", found);
    void'($urandom(seed));
    while ($fscanf(file, "%h %d %d %d\n", word, row, channel, halt_after) == 4) begin
      words.push_back(word);
      rows.push_back(row);
      channels.push_back(channel);
      halts.push_back(halt_after);
    end
    if (!$value$plusargs("results=%s", name)) $fatal(1, "no +results=FILE");
    results = $fopen(name, "w");
    if (results == 0) $fatal(1, "cannot write %s", name);
    clk = 0;
    forever #1 clk = !clk;
  end

  int cycle, next, started, since_take, since_progress, since_stop, rest, resetting, over;
  int take_cycle, address_cycle, data_cycle, end_cycle;
  logic executes, stopping, address_is_new;

  initial begin
    rst = 1;
    halt = 0;
    issue_valid = 0;
    take_ready = 0;
    cycle = 0;
    next = 0;
    started = 0;
    since_take = 0;
    since_progress = 0;
    since_stop = 0;
    rest = 0;
    over = 0;
    resetting = 3;
    executes = 0;
    stopping = 0;
    address_is_new = 1;
  end

  function automatic logic waits();
    return int'($urandom & 255) < stall;
  endfunction

  // verilator lint_off BLKSEQ
  always @(posedge clk) begin
    cycle = cycle + 1;
    since_progress = data_event ? 0 : since_progress + 1;
    if (since_progress > 20000) begin
      $fdisplay(results, "E hangs at instruction %0d", started);
      $fclose(results);
      $finish;
    end

    if (resetting != 0) begin
      resetting = resetting - 1;
      rst <= resetting != 0;
      halt <= 0;
      issue_valid <= 0;
      next = started;
      executes = 0;
      stopping = 0;
    end else begin
      // What the engine did in the cycle that ends now.
      if (address_event && address_cycle == 0) address_cycle = cycle;
      if (address_event && address_is_new && stopping && since_stop > 2) begin
        $fdisplay(results, "E a new burst after instruction %0d stopped", started - 1);
      end
      address_is_new = !address_event || address_taken;
      if (data_event && data_cycle == 0) data_cycle = cycle;
      if (end_event) end_cycle = cycle;
      if (fault) begin
        if (stopping && since_stop > 2) $fdisplay(results, "E a second fault");
        $fdisplay(results, "F %0d %0d", fault_code, fault_index);
        stopping = 1;
        halt <= 1'($urandom);
        rest = 0;
        since_stop = 0;
      end
      if (busy != (executes && words[started-1][3:0] != sf_isa_pkg::OPCODE_SYNC) && !stopping) begin
        $fdisplay(results, "E busy is %b at instruction %0d", busy, started);
      end
      since_take = since_take + 1;
      if (executes && !stopping && !halt && trace_index != 20'(started - 1)) begin
        $fdisplay(results, "E trace_index %0d at instruction %0d", trace_index, started - 1);
      end
      if (give_valid != retire) $fdisplay(results, "E give_valid without retire");
      if (retire) begin
        if (!executes || (stopping && since_stop > 1)) $fdisplay(results, "E retires in vain");  // halt is heeded a cycle later
        $fdisplay(results, "R %0d %0d %0d %0d %0d %0d %0d %0d %0d %0d", trace_index, trace_address, trace_bytes, give[0], give[1],
                  take_cycle, address_cycle, data_cycle, end_cycle, cycle);
        executes = 0;
        since_progress = 0;
      end
      if (take_valid && take_ready) begin
        if (executes || stopping) $fdisplay(results, "E starts too early");
        $fdisplay(results, "T %0d %0d %0d", started, take[0], take[1]);
        executes = 1;
        started = started + 1;
        take_cycle = cycle;
        address_cycle = 0;
        data_cycle = 0;
        end_cycle = 0;
        since_take = 0;
      end
      if (executes && !stopping && halts[started-1] < WAITING && since_take >= halts[started-1]) begin
        $fdisplay(results, "H %0d", started - 1);
        stopping = 1;
        halt <= 1;
        rest = 0;
        since_stop = 0;
      end
      if (take_valid && !take_ready && !stopping && halts[started] == WAITING) begin
        halts[started] = NEVER;
        stopping = 1;
        halt <= 1;
        rest = 0;
        since_stop = 0;
      end
      if (stopping) begin
        rest = rest + 1;
        since_stop = since_stop + 1;
        if (rest > 2 && !idle) rest = 2;
        if (rest > 3 && (!quiet || address_event || data_event)) $fdisplay(results, "E no rest after instruction %0d", started - 1);
        if (rest == REST) begin
          resetting = 3;
          rst <= 1;
          since_progress = 0;
        end
      end

      // What it sees next.
      if (issue_valid && issue_ready) begin
        next = next + 1;
        issue_valid <= 0;
      end
      if ((!issue_valid || issue_ready) && next < words.size() && !waits()) begin
        issue_valid <= 1;
        issue <= '{word: words[next], row_index: rows[next], channel_index: channels[next], index: 20'(next)};
      end
      take_ready <= !waits();
      over = started == words.size() && !executes && !stopping ? over + 1 : 0;
      if (over == REST) begin
        if (!idle || !quiet) $fdisplay(results, "E not idle at the end");
        $fdisplay(results, "D");
        $fclose(results);
        $finish;
      end
    end
  end
  // verilator lint_on BLKSEQ
endmodule
`default_nettype wire
