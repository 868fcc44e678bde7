`default_nettype none
// Fetches the parameter block of a COMPUTE: the head (scalars and tables) once, then biases and factors a vector at a time, up to
// SETS ahead of the vector that is finished. Its scratchpad port is refused while a stream of the COMPUTE uses the bank.
module sf_parameters
  import sf_compute_pkg::*;
#(
    parameter int LANES_IN = 8,
    parameter int LANES_OUT = 8,
    parameter int ACC_PIXELS = 64,
    parameter int V = 8
) (
    input  wire logic                     clk,
    input  wire logic                     rst,
    input  wire logic                     start,
    input  wire sf_job_t                  job,
    output      logic                     p_valid,
    input  wire logic                     p_ready,
    output      logic [19:0]              p_address,
    input  wire logic                     p_data_valid,
    input  wire logic [LANES_IN-1:0][7:0] p_data,
    // The head, as it arrives: word `head_index` of it.
    output      logic                     head_valid,
    output      logic [7:0]               head_index,
    output      logic [LANES_IN-1:0][7:0] head_data,
    output      logic                     head_ready,
    output      logic [9:0]               table0_at,  // bytes of the head before each table
    output      logic [9:0]               table1_at,
    output      logic [15:0][7:0]         binary_record,
    output      logic [15:0][7:0]         scale_record,
    output      logic [15:0][7:0]         average_record,
    // Biases and factors.
    output      logic [15:0]              sets_fetched,
    input  wire logic                     release_set,
    input  wire logic [1:0]               set,
    output      logic [V-1:0][31:0]       bias,
    output      logic [V-1:0][31:0]       factor,
    output      logic                     fault  // a constant is not finite
);
  localparam int UNITS = LANES_IN / 8;  // records of 8 bytes in a word
  localparam int UNIT_BITS = $clog2(UNITS);
  localparam int LANE_BITS = $clog2(LANES_IN);

  typedef struct packed {
    logic       head;
    logic       last;
    logic [7:0] index;   // word of the head, or of the set
    logic [7:0] offset;  // units before the first record
    logic [7:0] count;   // records
    logic [1:0] set;
  } sf_fetch_t;

  typedef enum logic [1:0] {IDLE, HEAD, RECORDS, DONE} sf_state_t;
  sf_state_t state;
  logic [9:0] head_bytes, scale_at, average_at;
  logic [7:0] head_words, index, words, count;
  logic [15:0] requested, released;
  logic [31:0] v_chunk;
  logic [15:0] v_channel, v_low, v_high, v_lane;
  logic v_chunk_last, v_last, word_last, accepted;
  logic [16:0] unit;
  logic [7:0] offset;  // units before the first record
  sf_fetch_t fetch, fetches[3];
  logic [V-1:0][63:0] sets[SETS];
  logic [47:0][7:0] scalars;

  sf_tiles #(.LANES_IN(LANES_IN), .LANES_OUT(LANES_OUT), .ACC_PIXELS(ACC_PIXELS)) u_vectors (
      .clk, .start, .advance(state == RECORDS && accepted && word_last), .job,
      .chunk(v_chunk), .channel(v_channel), .low(v_low), .high(v_high), .lane(v_lane), .chunk_last(v_chunk_last),
      .last(v_last)
  );

  assign scale_at = job.binary != 0 ? 10'd16 : 10'd0;
  assign average_at = scale_at + (job.has_scale ? 10'd16 : 10'd0);
  assign table0_at = average_at + (job.average ? 10'd16 : 10'd0);
  assign table1_at = table0_at + (job.has_table0 ? 10'd256 : 10'd0);
  assign head_bytes = table1_at + (job.has_table1 ? 10'd256 : 10'd0);
  assign head_words = 8'((head_bytes + 10'(LANES_IN - 1)) >> LANE_BITS);
  assign unit = 17'(head_bytes >> 3) + (job.mean ? '0 : {1'b0, v_channel});
  assign offset = 8'(unit & 17'(UNITS - 1));
  assign count = job.mean ? 8'd1 : v_high[7:0];
  assign fetch = '{
      head: state == HEAD, last: word_last, index: index, offset: offset, count: count,
      set: requested[1:0]
  };
  assign words = state == HEAD ? head_words : 8'((9'(offset) + 9'(count) + 9'(UNITS - 1)) >> UNIT_BITS);
  assign word_last = index == words - 1;
  assign p_valid = (state == HEAD && head_words != 0) || (state == RECORDS && 16'(requested - released) < 16'(SETS));
  assign p_address = job.parameters + (state == HEAD ? '0 : 20'(unit >> UNIT_BITS)) + 20'(index);
  assign accepted = p_valid && p_ready;

  always_ff @(posedge clk) begin
    if (rst) begin
      state <= IDLE;
    end else if (start) begin
      state <= HEAD;
    end else begin
      case (state)
        HEAD: if (head_words == 0 || (accepted && word_last)) state <= job.requantised ? RECORDS : DONE;
        RECORDS: if (accepted && word_last && (v_last || job.mean)) state <= DONE;
        default: ;
      endcase
    end
    if (start) begin
      index <= '0;
      requested <= '0;
      released <= '0;
    end else begin
      if (accepted) index <= word_last ? '0 : index + 1;
      if (state == RECORDS && accepted && word_last) requested <= requested + 1;
      if (release_set) released <= released + 1;
    end
  end

  // Data arrive READ_LATENCY cycles after their request was accepted.
  always_ff @(posedge clk) begin
    fetches[0] <= fetch;
    fetches[1] <= fetches[0];
    fetches[2] <= fetches[1];
  end
  assign head_valid = p_data_valid && fetches[2].head;
  assign head_index = fetches[2].index;
  assign head_data = p_data;

  always_ff @(posedge clk) begin
    fault <= 1'b0;
    if (start || rst) begin
      head_ready <= 1'b0;  // a reset also ends what is wrong with the constants that are there
      sets_fetched <= '0;
    end else begin
      if (state != HEAD && head_words == 0) head_ready <= 1'b1;
      if (head_valid && fetches[2].last) head_ready <= 1'b1;
      if (p_data_valid && !fetches[2].head && fetches[2].last) sets_fetched <= sets_fetched + 1;
    end
    if (head_valid) begin
      for (int i = 0; i < LANES_IN; i++) begin
        if (32'(head_index) * LANES_IN + i < 48) scalars[6'(32'(head_index) * LANES_IN + i)] <= p_data[i];
      end
    end
    if (p_data_valid && !fetches[2].head) begin
      for (int r = 0; r < V; r++) begin
        if ((r + 32'(fetches[2].offset)) / UNITS == 32'(fetches[2].index) && r < 32'(fetches[2].count)) begin
          sets[fetches[2].set][r] <= p_data[((r + 32'(fetches[2].offset)) % UNITS) * 8 +: 8];
          if (&p_data[((r + 32'(fetches[2].offset)) % UNITS) * 8 + 7][6:0] &&
              p_data[((r + 32'(fetches[2].offset)) % UNITS) * 8 + 6][7]) begin
            fault <= 1'b1;
          end
        end
      end
    end
    if (head_ready && !start && !rst) begin
      if (job.has_scale && not_finite(scale_record[3:0])) fault <= 1'b1;
      if (job.binary != 0 && not_finite(binary_record[3:0])) fault <= 1'b1;
      if (job.binary == 2'd1 && (not_finite(binary_record[7:4]) || not_finite(binary_record[11:8]))) fault <= 1'b1;
      if (job.average && (not_positive(average_record[3:0]) || not_positive(average_record[7:4]))) fault <= 1'b1;
    end
  end

  function automatic logic not_finite(input logic [31:0] value);
    return value[30:23] == 8'hff;
  endfunction
  function automatic logic not_positive(input logic [31:0] value);
    return value[30:23] == 8'hff || value[31] || value[30:0] == 0;
  endfunction

  assign binary_record = scalars[15:0];
  assign scale_record = scalars[scale_at[5:0] +: 16];
  assign average_record = scalars[average_at[5:0] +: 16];

  // One record serves all channels of a mean.
  always_comb begin
    for (int r = 0; r < V; r++) begin
      {factor[r], bias[r]} = sets[set][job.mean ? 0 : r];
    end
  end
endmodule
`default_nettype wire
