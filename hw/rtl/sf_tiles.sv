`default_nettype none
// Walks through the vectors of a COMPUTE: for each chunk of pixels whose sums the accumulators hold, the tiles of output channels
// (CONV: at most LANES_OUT of one convolution group) or the words of channels (other kinds).
module sf_tiles
  import sf_compute_pkg::*;
#(
    parameter int LANES_IN = 8,
    parameter int LANES_OUT = 8,
    parameter int ACC_PIXELS = 64
) (
    input  wire logic        clk,
    input  wire logic        start,       // take the first vector of `job`
    input  wire logic        advance,     // take the next one
    input  wire sf_job_t     job,
    output      logic [31:0] chunk,       // pixels of the chunk
    output      logic [15:0] channel,     // output channel of lane 0
    output      logic [15:0] low, high,   // lanes that hold channels: [low, high)
    output      logic [15:0] lane,        // CONV: first input channel of the group; else `channel`
    output      logic        chunk_last,  // last vector of its chunk
    output      logic        last         // last vector of all
);
  logic [31:0] remaining;   // pixels from this chunk on
  logic [15:0] first;       // first channel of this vector
  logic [15:0] group_lane;
  logic [16:0] group_end;
  logic [16:0] stop;        // channel behind this vector
  logic [16:0] tile_end, word_end;
  logic [31:0] limit;

  assign limit = job.mean ? job.pixels : 32'(ACC_PIXELS);
  assign chunk = remaining > limit ? limit : remaining;
  always_comb begin
    tile_end = {1'b0, first} + 17'(LANES_OUT);
    if (tile_end > group_end) tile_end = group_end;
    word_end = {1'b0, first & ~16'(LANES_IN - 1)} + 17'(LANES_IN);
    stop = job.conv ? tile_end : word_end;
    if (stop > {1'b0, job.channel_end}) stop = {1'b0, job.channel_end};
  end
  assign channel = job.conv ? first : first & ~16'(LANES_IN - 1);
  assign low = first - channel;
  assign high = 16'(stop - {1'b0, channel});
  assign lane = job.conv ? group_lane : channel;
  assign chunk_last = stop == {1'b0, job.channel_end};
  assign last = chunk_last && remaining == chunk;

  always_ff @(posedge clk) begin
    if (start) begin
      remaining <= job.pixels;
    end else if (advance && chunk_last) begin
      remaining <= remaining - chunk;
    end
    if (start || (advance && chunk_last)) begin
      first <= job.channel_first;
      group_end <= job.group_end;
      group_lane <= job.group_lane;
    end else if (advance) begin
      first <= stop[15:0];
      if (stop == group_end) begin
        group_end <= group_end + {1'b0, job.group_size};
        group_lane <= group_lane + job.depth;
      end
    end
  end
endmodule
`default_nettype wire
