// Random traffic on all ports of sf_scratchpad against an array. Writes what it sees wrong, then how often what happened.
`default_nettype none
module tb_scratchpad #(
    parameter int LANES = 8,
    parameter int BANKS = 8,
    parameter int BANK_WORDS = 16
);
  localparam int WORDS = BANKS * BANK_WORDS;
  localparam int LATENCY = sf_pkg::READ_LATENCY;
  typedef logic [LANES-1:0][7:0] word_t;

  logic clk, rst, w_valid, p_valid, p_ready, p_data_valid, s_valid, s_ready, s_data_valid, l_valid, l_ready, fault_range, fault_conflict;
  logic [3:0] c_read;
  logic [3:0][19:0] c_address;
  word_t [3:0] c_data;
  logic [19:0] w_address, p_address, s_address, l_address;
  word_t w_data, p_data, s_data, l_data;
  logic [LANES-1:0] w_strobe;
  sf_scratchpad #(.LANES(LANES), .BANKS(BANKS), .BANK_WORDS(BANK_WORDS)) u_unit (.*);

  integer results, cycles;
  int cycle, reads, parameters_refused, stores_refused, loads_refused, shared, conflicts, beyond, same_cycle;
  initial begin
    string name;
    int seed;
    if (!$value$plusargs("results=%s", name)) $fatal(1, "no +results=FILE");
    results = $fopen(name, "w");
    if (!$value$plusargs("seed=%d", seed)) $fatal(1, "no +seed=N");
    if (!$value$plusargs("cycles=%d", cycles)) $fatal(1, "no +cycles=N");
    void'($urandom(seed));
    rst = 1;
    c_read = '0;
    w_valid = 0;
    p_valid = 0;
    s_valid = 0;
    l_valid = 0;
    clk = 0;
    cycle = 0;
    forever #1 clk = !clk;
  end

  word_t model[int];  // the words that were written

  // What has to come, by the cycle in which it does: of the four streams, then of the parameters and of the store.
  typedef struct packed {
    logic  checked;
    logic  comes;
    word_t data;
  } answer_t;
  answer_t [LATENCY-1:0][5:0] answers;  // [0] is due next
  logic range_due, conflict_due;
  initial answers = '0;
  initial range_due = 0;
  initial conflict_due = 0;

  // Few words of few banks, so that ports meet; now and then behind the last word.
  function automatic logic [19:0] some_address();
    logic [23:0] dice;
    dice = 24'($urandom);
    if (dice[7:0] == 0) return 20'(WORDS) + (dice[8] ? 20'($urandom % 3) : 20'($urandom % ((1 << 20) - WORDS)));
    if (dice[7:0] < 128) return 20'(32'(dice[15:8]) % BANKS * BANK_WORDS + 32'(dice[23:16]) % 3);
    return 20'($urandom % WORDS);
  endfunction
  function automatic word_t some_word();
    for (int lane = 0; lane < LANES; lane++) some_word[lane] = 8'($urandom);
  endfunction
  function automatic int bank(input logic [19:0] address);
    return int'(address) / BANK_WORDS;
  endfunction

  function automatic logic streams_use(input int number);
    streams_use = 0;
    for (int a = 0; a < 4; a++) if (c_read[a] && bank(c_address[a]) == number) streams_use = 1;
  endfunction
  function automatic answer_t answer(input logic taken, input logic [19:0] address);
    answer = '0;
    answer.comes = taken;
    if (taken && int'(address) < WORDS && model.exists(int'(address)) != 0) begin
      answer.checked = 1;
      answer.data = model[int'(address)];
    end
  endfunction

  // verilator lint_off BLKSEQ
  always @(posedge clk) begin
    logic range_now, conflict_now;
    answer_t [5:0] now;
    cycle = cycle + 1;
    rst <= cycle < 4;

    // The answers of this cycle.
    for (int port = 0; port < 4; port++) begin
      if (answers[0][port].checked && c_data[port] != answers[0][port].data) begin
        $fdisplay(results, "E cycle %0d port %0d is %h, not %h", cycle, port, c_data[port], answers[0][port].data);
      end
    end
    if (cycle > 4 && p_data_valid != answers[0][4].comes) $fdisplay(results, "E cycle %0d p_data_valid is %b", cycle, p_data_valid);
    if (answers[0][4].checked && p_data != answers[0][4].data) begin
      $fdisplay(results, "E cycle %0d p_data is %h, not %h", cycle, p_data, answers[0][4].data);
    end
    if (cycle > 4 && s_data_valid != answers[0][5].comes) $fdisplay(results, "E cycle %0d s_data_valid is %b", cycle, s_data_valid);
    if (answers[0][5].checked && s_data != answers[0][5].data) begin
      $fdisplay(results, "E cycle %0d s_data is %h, not %h", cycle, s_data, answers[0][5].data);
    end
    if (cycle > 4 && fault_range != range_due) $fdisplay(results, "E cycle %0d fault_range is %b", cycle, fault_range);
    if (cycle > 4 && fault_conflict != conflict_due) $fdisplay(results, "E cycle %0d fault_conflict is %b", cycle, fault_conflict);

    // The requests of this cycle. A read sees what was written before; a port keeps its data until its next read.
    now = '0;
    range_now = (w_valid && int'(w_address) >= WORDS) || (s_valid && int'(s_address) >= WORDS);
    if (p_valid && int'(p_address) >= WORDS) range_now = 1;
    if (l_valid && int'(l_address) >= WORDS) range_now = 1;
    conflict_now = 0;
    for (int a = 0; a < 4; a++) begin
      logic spoiled;
      spoiled = 0;
      if (c_read[a] && int'(c_address[a]) >= WORDS) range_now = 1;
      for (int b = 0; b < 4; b++) begin
        if (a != b && c_read[a] && c_read[b] && bank(c_address[a]) == bank(c_address[b])) begin
          if (c_address[a] != c_address[b]) spoiled = 1;
          else shared = shared + 1;
        end
      end
      if (spoiled) conflict_now = 1;
      now[a].comes = c_read[a];
      if (c_read[a] && !spoiled && int'(c_address[a]) < WORDS) begin
        now[a].checked = model.exists(int'(c_address[a])) != 0;
        if (now[a].checked) now[a].data = model[int'(c_address[a])];
        reads = reads + 1;
        if (w_valid && w_address == c_address[a]) same_cycle = same_cycle + 1;
      end
      if (c_read[a] && p_valid && p_ready && bank(c_address[a]) == bank(p_address)) begin
        $fdisplay(results, "E cycle %0d the parameters are served", cycle);
      end
      if (c_read[a] && s_valid && s_ready && bank(c_address[a]) == bank(s_address)) begin
        $fdisplay(results, "E cycle %0d the store is served", cycle);
      end
    end
    if (p_valid && s_valid && s_ready && bank(p_address) == bank(s_address)) begin
      $fdisplay(results, "E cycle %0d the store is served before the parameters", cycle);
    end
    if (p_valid && !p_ready) begin
      if (!streams_use(bank(p_address))) $fdisplay(results, "E cycle %0d the parameters are refused in vain", cycle);
      parameters_refused = parameters_refused + 1;
    end
    if (s_valid && !s_ready) begin
      if (!streams_use(bank(s_address)) && !(p_valid && bank(p_address) == bank(s_address))) begin
        $fdisplay(results, "E cycle %0d the store is refused in vain", cycle);
      end
      stores_refused = stores_refused + 1;
    end
    now[4] = answer(p_valid && p_ready, p_address);
    now[5] = answer(s_valid && s_ready, s_address);
    if (l_valid && l_ready == (w_valid && bank(w_address) == bank(l_address))) begin
      $fdisplay(results, "E cycle %0d l_ready is %b", cycle, l_ready);
    end
    if (l_valid && !l_ready) loads_refused = loads_refused + 1;
    conflicts = conflicts + 32'(conflict_now);
    beyond = beyond + 32'(range_now);
    // Words begin whole, so that no byte is unknown.
    if (w_valid && model.exists(int'(w_address)) != 0) begin
      for (int lane = 0; lane < LANES; lane++) if (w_strobe[lane]) model[int'(w_address)][lane] = w_data[lane];
    end
    if (l_valid && l_ready && int'(l_address) < WORDS) begin
      model[int'(l_address)] = l_data;
    end
    range_due = range_now && !rst;
    conflict_due = conflict_now && !rst;
    for (int i = 0; i < LATENCY - 1; i++) answers[i] = answers[i+1];
    answers[LATENCY-1] = now;

    // The next requests. A request that was refused stays.
    if (cycle >= 4) begin
      for (int port = 0; port < 4; port++) begin
        c_read[port] <= 1'($urandom);
        // Mostly a bank of each port's own.
        c_address[port] <= 8'($urandom) < 200 && BANKS >= 4
            ? 20'((port + 4 * int'($urandom % (BANKS / 4))) * BANK_WORDS + int'($urandom % 3)) : some_address();
      end
      if (8'($urandom) < 16) c_address[1] <= c_address[0];
      w_valid <= 1'($urandom);
      w_address <= 8'($urandom) < 64 ? c_address[0] : some_address();
      w_data <= some_word();
      w_strobe <= LANES'({$urandom, $urandom});
      if (!p_valid || p_ready) begin
        p_valid <= 1'($urandom);
        p_address <= some_address();
      end
      if (!s_valid || s_ready) begin
        s_valid <= 1'($urandom);
        s_address <= some_address();
      end
      if (!l_valid || l_ready) begin
        l_valid <= 1'($urandom);
        l_address <= some_address();
        l_data <= some_word();
      end
    end
    if (cycle == cycles) begin
      $fwrite(results, "D %0d %0d %0d %0d %0d", reads, same_cycle, shared, parameters_refused, stores_refused);
      $fdisplay(results, " %0d %0d %0d", loads_refused, conflicts, beyond);
      $fclose(results);
      $finish;
    end
  end
  // verilator lint_on BLKSEQ
endmodule
`default_nettype wire
