// Runs the program: takes every word once from the fetched stream, repeats loop bodies from a buffer, and hands each instruction,
// with the indices of the loops around it, to its engine's queue. HOST and END wait until all engines are idle, and so does a word
// that is wrong: what was in front of it has then been executed, as in the simulator.
//
// Two stages. The front finds the next word, one every second cycle, and keeps the loops: at most one over rows and one over
// channels. The back looks at one word whole and acts on it.
`default_nettype none
module sf_sequencer
  import sf_isa_pkg::*;
  import sf_pkg::*;
  import sf_registers_pkg::*;
(
    input  wire logic         clk,
    input  wire logic         rst,
    input  wire logic         halt,
    input  wire logic [20:0]  program_words,
    input  wire logic         word_valid,
    output      logic         word_ready,
    input  wire logic [255:0] word,
    output      logic [2:0]   issue_valid,    // by engine
    input  wire logic [2:0]   issue_ready,
    output      sf_issue_t    issue,
    input  wire logic         drained,        // engines idle, queues empty
    input  wire logic         fetch_idle,     // no fetch under way
    input  wire logic         tokens_left,
    input  wire logic         resume,
    output      logic         host,           // waits for the host
    output      logic [15:0]  host_index,
    output      logic         done,           // pulse
    output      logic         fault,          // level, until reset
    output      logic [7:0]   fault_code,
    output      logic [19:0]  index           // of the word in the back
);
  // Back, as far as the front has to know.
  logic             back_valid;
  logic             leaves;      // the word in the back has been acted on
  logic             back_free;
  assign back_free = !back_valid || leaves;

  // Front: where the program is.
  logic [20:0]      at;          // the next word, or the one that is held
  logic [20:0]      streamed;    // words taken from the stream
  logic             held;
  logic             replayed;    // the held word is the buffer's output
  logic             stopped;     // behind END or a wrong word
  logic [255:0]     stream_word;
  logic [255:0]     buffer_word;
  logic [255:0]     front_word;
  /* verilator lint_off UNUSEDSIGNAL */  // the decoder looks at the rest
  sf_loop_t         loop;
  /* verilator lint_on UNUSEDSIGNAL */
  logic             is_loop;
  logic             moves;       // the held word goes to the back

  // Loops, by axis.
  logic [1:0][20:0] first_word;
  logic [1:0][20:0] end_word;
  logic [1:0][15:0] last_index;
  logic [1:0][15:0] indices;
  logic [1:0]       depth;
  logic             inner;       // axis of the innermost loop
  logic             outer;       // axis of the outermost one
  logic [20:0]      stop;        // end of what the innermost loop, or the program, holds
  logic [20:0]      next;
  logic [20:0]      body_end;
  logic             bad_place;   // a loop, HOST or END where or how it may not be
  logic             past_end;

  assign outer      = depth[1] ? !inner : inner;
  assign stop       = depth == '0 ? program_words : end_word[inner];
  assign next       = at + 21'd1;
  assign front_word = replayed ? buffer_word : stream_word;
  assign loop       = front_word;
  assign is_loop    = front_word[OPCODE_BITS-1:0] == OPCODE_LOOP;
  assign body_end   = next + 21'(loop.body);
  assign past_end   = !held && at == program_words;
  assign moves      = !halt && !stopped && back_free && (held || past_end);

  always_comb begin
    bad_place = 1'b0;
    if (past_end) begin
      bad_place = 1'b0;
    end else if (is_loop) begin
      bad_place = depth[1] || (depth[0] && loop.axis == inner) || loop.count == '0 || loop.body == '0
          || loop.body > 16'(LOOP_BODY_WORDS) || body_end > stop;
    end else if (front_word[OPCODE_BITS-1:0] == OPCODE_HOST || front_word[OPCODE_BITS-1:0] == OPCODE_END) begin
      bad_place = depth != '0;
    end
  end

  // The buffer holds the body of the outermost loop. A word is in it once it has been streamed.
  localparam int BUFFER_BITS = $clog2(LOOP_BODY_WORDS);
  logic [255:0]           buffer[LOOP_BODY_WORDS];
  logic [BUFFER_BITS-1:0] place;
  logic                   from_buffer;
  logic                   streams;

  assign place       = at[BUFFER_BITS-1:0] - first_word[outer][BUFFER_BITS-1:0];
  assign from_buffer = at != streamed;
  assign word_ready  = !halt && !held && !stopped && !from_buffer && !past_end;
  assign streams     = word_valid && word_ready;

  always_ff @(posedge clk) begin
    if (streams && depth != '0) buffer[place] <= word;
    if (!held) buffer_word <= buffer[place];
  end
  always_ff @(posedge clk) begin
    if (streams) stream_word <= word;
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      at       <= '0;
      streamed <= '0;
      held     <= 1'b0;
      stopped  <= 1'b0;
      depth    <= '0;
      inner    <= 1'b0;
      indices  <= '0;
    end else if (moves) begin
      held    <= 1'b0;
      stopped <= past_end || bad_place || front_word[OPCODE_BITS-1:0] == OPCODE_END;
      at      <= next;
      if (is_loop) begin
        depth                 <= depth + 2'd1;
        inner                 <= loop.axis;
        first_word[loop.axis] <= next;
        end_word[loop.axis]   <= body_end;
        last_index[loop.axis] <= loop.count - 16'd1;
      end else if (depth != '0 && next == end_word[inner]) begin
        if (indices[inner] != last_index[inner]) begin
          indices[inner] <= indices[inner] + 16'd1;
          at             <= first_word[inner];
        end else begin
          indices[inner] <= '0;
          inner          <= outer;
          depth          <= depth - 2'd1;
          if (depth[1] && next == end_word[outer]) begin
            if (indices[outer] != last_index[outer]) begin
              indices[outer] <= indices[outer] + 16'd1;
              at             <= first_word[outer];
            end else begin
              indices[outer] <= '0;
              depth          <= '0;
            end
          end
        end
      end
    end else if (!held && !stopped && !halt && !past_end) begin
      held     <= from_buffer || word_valid;
      replayed <= from_buffer;
      if (streams) streamed <= streamed + 21'd1;
    end
  end

  // Back: one word, whole.
  logic      back_bad_place;
  logic      back_past_end;
  logic      legal;
  logic      engine_word;
  logic [1:0] engine;
  logic      wrong;
  logic      drained_before;
  logic      settled;

  always_ff @(posedge clk) begin
    if (rst) begin
      back_valid <= 1'b0;
    end else if (moves) begin
      back_valid          <= 1'b1;
      back_bad_place      <= bad_place;
      back_past_end       <= past_end;
      issue.word          <= front_word;
      issue.row_index     <= indices[AXIS_ROWS];
      issue.channel_index <= indices[AXIS_CHANNELS];
      issue.index         <= at[19:0];
    end else if (leaves) begin
      back_valid <= 1'b0;
    end
  end

  logic [OPCODE_BITS-1:0] opcode;
  /* verilator lint_off UNUSEDSIGNAL */
  sf_host_t  as_host;
  /* verilator lint_on UNUSEDSIGNAL */
  assign opcode  = issue.word[OPCODE_BITS-1:0];
  assign as_host = issue.word;

  sf_decode u_decode (
      .word      (issue.word),
      .legal,
      .for_engine(engine_word),
      .engine
  );

  assign wrong = back_past_end || !legal || back_bad_place;
  assign index = issue.index;

  // Tokens that an engine gives with its last cycle arrive one later.
  always_ff @(posedge clk) drained_before <= drained;
  assign settled = back_valid && drained && drained_before && !halt;

  always_comb begin
    issue_valid = '0;
    leaves      = 1'b0;
    host        = 1'b0;
    host_index  = as_host.index;
    done        = 1'b0;
    fault       = 1'b0;
    if (back_past_end) fault_code = ERROR_END_OF_PROGRAM;
    else if (!legal) fault_code = ERROR_ILLEGAL_INSTRUCTION;
    else if (back_bad_place) fault_code = ERROR_LOOP;
    else fault_code = ERROR_TOKENS;
    if (wrong) begin
      fault = settled;
    end else if (engine_word) begin
      for (int e = 0; e < 3; e++) issue_valid[e] = back_valid && !halt && engine == 2'(e);
      leaves = |(issue_valid & issue_ready);
    end else if (opcode == OPCODE_LOOP) begin
      leaves = back_valid;
    end else if (opcode == OPCODE_HOST) begin
      host   = settled;
      leaves = settled && resume;
    end else begin
      fault = settled && fetch_idle && tokens_left;
      done  = settled && fetch_idle && !tokens_left;
    end
  end
endmodule
`default_nettype wire
