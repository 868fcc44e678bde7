`default_nettype none
// Reads the words of a walk from the scratchpad, ahead of who needs them: as many as there is room for.
//
// A word is on the output two cycles after its data came from the scratchpad, if no other is in front of it.
module sf_read_ahead #(
    parameter int LANES = 8
) (
    input wire logic clk,
    input wire logic rst,
    input wire logic stopped,

    input  wire logic                         walk_valid,
    output logic                              walk_step,
    input  wire logic [                 19:0] walk_address,
    input  wire logic                         walk_out_of_range,
    input  wire logic [$clog2(LANES+1)-1:0] walk_size,
    input  wire logic                         walk_ends_all,

    output logic                  s_valid,
    input  wire logic             s_ready,
    output logic [19:0]           s_address,
    input  wire logic             s_data_valid,
    input  wire logic [LANES-1:0][7:0] s_data,

    output logic                             word_valid,
    input  wire logic                        word_ready,
    output logic [LANES-1:0][7:0]            word,
    output logic [$clog2(LANES+1)-1:0]       word_size,
    output logic                             word_is_last
);
  localparam int DEPTH = 8;  // enough for a word a cycle: a word holds its place for READ_LATENCY + 3 cycles
  localparam int DEPTH_BITS = $clog2(DEPTH);

  logic [LANES-1:0][7:0] words[DEPTH];
  logic [$clog2(LANES+1):0] sizes[DEPTH];  // and whether it is the last word
  logic [DEPTH_BITS-1:0] asked, came, gone;
  logic [DEPTH_BITS:0] places_free, words_there;
  logic accepted, leaves;

  assign s_valid = walk_valid && !walk_out_of_range && places_free != '0 && !stopped;
  assign s_address = walk_address;
  assign accepted = s_valid && s_ready;
  assign walk_step = accepted;

  assign word_valid = words_there != '0;
  assign word = words[gone];
  assign {word_is_last, word_size} = sizes[gone];
  assign leaves = word_valid && word_ready;

  always_ff @(posedge clk) begin
    if (accepted) begin
      sizes[asked] <= {walk_ends_all, walk_size};
      asked <= asked + 1'b1;
    end
    if (s_data_valid) begin
      words[came] <= s_data;
      came <= came + 1'b1;
    end
    if (leaves) gone <= gone + 1'b1;
    places_free <= places_free - (DEPTH_BITS + 1)'(accepted) + (DEPTH_BITS + 1)'(leaves);
    words_there <= words_there + (DEPTH_BITS + 1)'(s_data_valid) - (DEPTH_BITS + 1)'(leaves);
    if (rst) begin
      asked <= '0;
      came <= '0;
      gone <= '0;
      places_free <= (DEPTH_BITS + 1)'(DEPTH);
      words_there <= '0;
    end
  end
endmodule
`default_nettype wire
