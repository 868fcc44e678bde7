`default_nettype none
// Turns the compute engine's instructions into jobs, one ahead of the job that runs. It keeps the present SETUP and PHASE, checks what the
// instructions ask for, finds the rows and channels at the loop indices, and where in its ring each operand begins.
module sf_compute_prepare
  import sf_isa_pkg::*, sf_pkg::*, sf_registers_pkg::*, sf_compute_pkg::*;
#(
    parameter int LANES_IN = 8,
    parameter int LANES_OUT = 8
) (
    input  wire logic        clk,
    input  wire logic        rst,
    input  wire logic        halt,
    input  wire logic        issue_valid,
    input  wire sf_issue_t   issue,
    output      logic        issue_ready,
    output      logic        valid,    // the outputs below hold an instruction
    input  wire logic        taken,
    output      logic        work,     // a COMPUTE that is not empty
    output      logic        is_sync,
    output      sf_job_t     job,
    output      logic [1:0][15:0] take,
    output      logic [1:0][15:0] give,
    output      logic [19:0] index,
    output      logic        idle,
    output      logic        fault,
    output      sf_error_t   fault_code,
    output      logic [19:0] fault_index
);
  localparam int LANE_BITS = $clog2(LANES_IN);

  typedef enum logic [3:0] {
    IDLE, SETUP_CHECK, SETUP_DIVIDE, PHASE_KEEP, RANGE, CLIP, WINDOW, RESIZE_DIVIDE, SPANS, DIVIDE, RESULTS, READY
  } sf_state_t;
  sf_state_t state;
  sf_issue_t now;
  sf_setup_t setup, incoming;
  /* verilator lint_off UNUSEDSIGNAL */  // the numbers of rows are for the simulator
  sf_phase_t incoming_phase;
  /* verilator lint_on UNUSEDSIGNAL */
  logic [19:0] out_pitch, weights_pitch;  // of the present PHASE, 0 without one
  sf_compute_t compute;
  sf_sync_t sync;
  logic [3:0] opcode;
  logic configured;
  logic [15:0] depth, group_size;

  assign incoming = now.word;
  assign incoming_phase = now.word;
  assign compute = now.word;
  assign sync = now.word;
  assign opcode = issue.word[3:0];
  assign issue_ready = state == IDLE && !halt && !fault;
  assign idle = state == IDLE && !issue_valid;
  assign valid = state == READY && !halt;

  // ---- what a SETUP must not ask for
  logic window, setup_bad, mean_large, incoming_conv;
  assign incoming_conv = incoming.kind == KIND_CONV;
  assign window = incoming.kind < 3'd4;
  always_comb begin
    setup_bad = incoming.kind > KIND_RESIZE || incoming.binary == 2'd3;
    setup_bad |= incoming.x_height == 0 || incoming.x_width == 0 || incoming.x_channels == 0;
    setup_bad |= incoming.out_height == 0 || incoming.out_width == 0 || incoming.out_channels == 0;
    if (window) begin
      setup_bad |= incoming.kernel_h == 0 || incoming.kernel_w == 0 || incoming.dilation_h == 0 || incoming.dilation_w == 0;
    end
    if (window || incoming.kind == KIND_RESIZE) setup_bad |= incoming.stride_h == 0 || incoming.stride_w == 0;
    if (incoming_conv) begin
      setup_bad |= incoming.groups == 0;
    end else begin
      setup_bad |= incoming.x_channels != incoming.out_channels;
    end
    case (incoming.kind)
      KIND_COPY: setup_bad |= incoming.x_height != incoming.out_height || incoming.x_width != incoming.out_width;
      KIND_GLOBAL_MEAN: setup_bad |= incoming.out_height != 1 || incoming.out_width != 1;
      KIND_RESIZE: begin
        setup_bad |= 22'(incoming.x_height) * incoming.stride_h != 22'(incoming.out_height);
        setup_bad |= 22'(incoming.x_width) * incoming.stride_w != 22'(incoming.out_width);
      end
      KIND_AVERAGE_POOL:  // of the whole input: the kernel's rule is that of a global mean
      setup_bad |= 16'(incoming.kernel_h) == incoming.x_height && 16'(incoming.kernel_w) == incoming.x_width &&
          incoming.pad_top == 0 && incoming.pad_left == 0 && incoming.out_height == 1 && incoming.out_width == 1;
      default: ;
    endcase
    mean_large = incoming.kind == KIND_GLOBAL_MEAN && 32'(incoming.out_channels) > MEAN_CHANNELS;
  end

  // ---- rows and channels of a COMPUTE
  logic conv, mean, element, resize;
  logic [32:0] row_end, row_begin, channel_stop, channel_start;
  logic [15:0] total, row0, row1, channel0, channel1;
  assign conv = setup.kind == KIND_CONV;
  assign mean = setup.kind == KIND_GLOBAL_MEAN;
  assign resize = setup.kind == KIND_RESIZE;
  assign element = setup.kind >= 3'd4;  // no window
  assign total = mean ? setup.x_height : setup.out_height;

  // ---- windows
  logic signed [23:0] top, bottom;
  logic [11:0] extent;
  logic [15:0] first, last;
  assign first = top < 0 ? '0 : (top > $signed({8'd0, setup.x_height}) ? setup.x_height : top[15:0]);
  assign last = bottom < $signed({8'd0, first}) ? first
              : (bottom > $signed({8'd0, setup.x_height}) ? setup.x_height : bottom[15:0]);

  // ---- divisions
  logic divide, dividing;
  logic [3:0][15:0] dividend, divisor, quotient, remainder;
  logic [3:0] done;
  logic group_start, group_done, group_busy;
  logic [15:0] group_dividend, group_divisor, group_quotient, group_remainder;
  for (genvar i = 0; i < 4; i++) begin : g_divide
    sf_divide #(.BITS(16)) u_divide (
        .clk, .rst, .start(divide), .dividend(dividend[i]), .divisor(divisor[i]), .done(done[i]),
        .quotient(quotient[i]), .remainder(remainder[i])
    );
  end
  sf_divide #(.BITS(16)) u_group (
      .clk, .rst, .start(group_start), .dividend(group_dividend), .divisor(group_divisor), .done(group_done),
      .quotient(group_quotient), .remainder(group_remainder)
  );
  // 0: input rows, 1: output rows, 2: residual rows, 3: weight rows; SETUP and RESIZE borrow 0 and 1.
  logic [15:0] out_row;
  assign out_row = mean ? '0 : row0;
  always_comb begin
    dividend = {channel0, out_row, out_row, first};
    divisor = {compute.weights_ring, compute.residual_ring, compute.out_ring, compute.x_ring};
    if (state == SETUP_CHECK) begin
      dividend[1:0] = {incoming.out_channels, incoming.x_channels};
      divisor[1:0] = {incoming.groups, incoming.groups};
    end
    if (state == WINDOW) begin
      dividend[1:0] = {row1 - 16'd1, row0};
      divisor[1:0] = {16'(setup.stride_h), 16'(setup.stride_h)};
    end
  end
  assign group_dividend = channel0;
  assign group_divisor = group_size;
  logic slots_small;  // no operand is past its ring's end for the first time
  assign slots_small = first < compute.x_ring && out_row < compute.out_ring &&
      (setup.binary == 0 || out_row < compute.residual_ring) && (!conv || channel0 < compute.weights_ring);
  assign divide = (state == SETUP_CHECK && incoming_conv && incoming.groups > 1) || (state == WINDOW && resize) ||
      (state == SPANS && !slots_small);
  assign group_start = state == SPANS && conv && setup.groups > 1;

  // ---- rings that are too small
  logic ring_bad;
  logic [26:0] x_bytes, out_bytes, residual_bytes;
  assign x_bytes = 27'(compute.x_pixel_words) << LANE_BITS;
  assign out_bytes = 27'(compute.out_pixel_words) << LANE_BITS;
  assign residual_bytes = 27'(setup.residual_pixel_words) << LANE_BITS;
  always_comb begin
    ring_bad = compute.x_ring == 0 || last - first > compute.x_ring ||
        x_bytes < (conv ? 27'(setup.x_channels) : 27'(channel1));
    if (!mean || row1 == setup.x_height) begin
      ring_bad |= compute.out_ring == 0 || (!mean && row1 - row0 > compute.out_ring) ||
          out_bytes < 27'(compute.out_channel) + 27'(channel1);
      if (setup.binary != 0) begin
        ring_bad |= compute.residual_ring == 0 || (!mean && row1 - row0 > compute.residual_ring) ||
            residual_bytes < 27'(channel1);
      end
    end
    if (conv) ring_bad |= compute.weights_ring == 0 || channel1 - channel0 > compute.weights_ring;
    if (setup.kind == KIND_DEPTHWISE) ring_bad |= compute.weights_ring == 0;
  end

  // ---- products, from one cycle to the next
  logic [11:0] positions;
  logic [27:0] weights_row;
  logic [15:0] depth_words;
  logic [43:0] weights_offset;
  logic [15:0] weights_rows;
  logic [47:0] weights_end;
  logic [25:0] x_row_words, out_row_words, residual_row_words;
  logic [31:0] pixels;
  logic [15:0] x_slot, out_slot, residual_slot, weights_slot, group;
  logic same;
  assign depth_words = 16'((17'(conv ? depth : setup.out_channels) + 17'(LANES_IN - 1)) >> LANE_BITS);
  assign same = setup.kind == KIND_COPY && setup.binary != 0 && compute.residual_base == compute.x_base &&
      compute.residual_ring == compute.x_ring && setup.residual_pixel_words == compute.x_pixel_words;

  // Two kernel columns share a pass where both fit into the lanes and what one of them reads, the other has just read. Fewer
  // pixels than two rows of weights take to arrive would gain nothing.
  logic [1:0] pair;
  always_comb begin
    pair = 2'd0;
    if (conv && setup.groups == 1 && 32'(depth) <= LANES_IN / 2 && pixels >= 2 * LANES_OUT) begin
      if (setup.stride_w == setup.dilation_w && setup.kernel_w > 6'd1) pair = 2'd1;
      if (7'(setup.stride_w) == {setup.dilation_w, 1'b0} && setup.kernel_w > 6'd2) pair = 2'd2;
    end
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      state <= IDLE;
      configured <= 1'b0;
      fault <= 1'b0;
    end else begin
      case (state)
        IDLE:
        if (issue_valid && issue_ready) begin
          now <= issue;
          case (opcode)
            OPCODE_SETUP: state <= SETUP_CHECK;
            OPCODE_PHASE: state <= PHASE_KEEP;
            OPCODE_COMPUTE: state <= RANGE;
            default: state <= READY;  // SYNC
          endcase
          if ((opcode == OPCODE_COMPUTE || opcode == OPCODE_PHASE) && !configured) raise(ERROR_SETUP);
        end
        SETUP_CHECK: begin
          setup <= incoming;
          out_pitch <= '0;
          weights_pitch <= '0;
          configured <= 1'b1;
          depth <= incoming.x_channels;
          group_size <= incoming.out_channels;
          if (setup_bad) raise(ERROR_SETUP);
          else if (mean_large) raise(ERROR_UNSUPPORTED);
          else state <= divide ? SETUP_DIVIDE : IDLE;
        end
        SETUP_DIVIDE:
        if (done[0]) begin
          depth <= quotient[0];
          group_size <= quotient[1];
          if (remainder[0] != 0 || remainder[1] != 0) raise(ERROR_SETUP);
          else state <= IDLE;
        end
        PHASE_KEEP: begin
          out_pitch <= incoming_phase.out_row_words;
          weights_pitch <= incoming_phase.weights_row_words;
          state <= IDLE;
        end
        RANGE: state <= CLIP;
        CLIP: begin
          row0 <= now.row_index == 0 ? '0 : clip(row_begin, total);
          row1 <= clip(row_end, total);
          channel0 <= now.channel_index == 0 ? '0 : clip(channel_start, setup.out_channels);
          channel1 <= clip(channel_stop, setup.out_channels);
          state <= WINDOW;
        end
        WINDOW: begin
          if (!work_left) state <= READY;
          else state <= resize ? RESIZE_DIVIDE : SPANS;
        end
        RESIZE_DIVIDE: if (done[0]) state <= SPANS;
        SPANS:
        if (ring_bad) raise(ERROR_RING);
        else state <= divide || group_start ? DIVIDE : RESULTS;
        DIVIDE: if ((!dividing || done[0]) && (!group_busy || group_done)) state <= RESULTS;
        RESULTS: if (conv && weights_end > 48'h100000) raise(ERROR_SCRATCHPAD_RANGE);
        else state <= READY;
        READY: if (taken) state <= IDLE;
        default: state <= IDLE;
      endcase
      if (fault) state <= IDLE;
    end
  end

  task automatic raise(input sf_error_t code);
    fault <= 1'b1;
    fault_code <= code;
    fault_index <= now_index;
  endtask
  logic [19:0] now_index;
  assign now_index = state == IDLE ? issue.index : now.index;

  logic work_left;
  assign work_left = row0 < row1 && channel0 < channel1;

  always_ff @(posedge clk) begin
    if (state == RANGE) begin
      row_end <= 33'(compute.first) + 33'(now.row_index * 32'(compute.step));
      row_begin <= 33'(compute.first) + 33'(32'(now.row_index - 16'd1) * compute.step);
      channel_stop <= 33'(compute.channel_first) + 33'(now.channel_index * 32'(compute.channel_step));
      channel_start <= 33'(compute.channel_first) + 33'(32'(now.channel_index - 16'd1) * compute.channel_step);
      extent <= 12'(setup.kernel_h - 6'd1) * setup.dilation_h + 12'd1;
      positions <= 12'(setup.kernel_h) * setup.kernel_w;
    end
    if (state == WINDOW) begin
      top <= element ? $signed({8'd0, row0}) : $signed(24'(row0 * 22'(setup.stride_h)) - 24'(setup.pad_top));
      bottom <= element ? $signed({8'd0, row1})
                        : $signed(24'(22'(row1 - 16'd1) * setup.stride_h) + 24'(extent) - 24'(setup.pad_top));
      weights_row <= conv && weights_pitch != 0 ? 28'(weights_pitch) : (element ? 28'd1 : 28'(positions)) * 28'(depth_words);
      pixels <= 32'(row1 - row0) * 32'(mean ? setup.x_width : setup.out_width);
    end
    if (state == RESIZE_DIVIDE && done[0]) begin
      top <= $signed({8'd0, quotient[0]});
      bottom <= $signed({8'd0, quotient[1]} + 24'd1);
      job.phase <= remainder[0][5:0];
    end
    if (state == SPANS) begin
      x_row_words <= 26'(setup.x_width) * compute.x_pixel_words;
      out_row_words <= out_pitch != 0 ? 26'(out_pitch) : 26'(setup.out_width) * compute.out_pixel_words;
      residual_row_words <= 26'(setup.out_width) * setup.residual_pixel_words;
      x_slot <= first;
      out_slot <= out_row;
      residual_slot <= out_row;
      weights_slot <= channel0;
      group <= '0;
      dividing <= divide;
      group_busy <= group_start;
    end
    if (state == DIVIDE) begin
      if (done[0]) begin
        x_slot <= remainder[0];
        out_slot <= remainder[1];
        residual_slot <= remainder[2];
        weights_slot <= remainder[3];
        dividing <= 1'b0;
      end
      if (group_done) begin
        group <= group_quotient;
        group_busy <= 1'b0;
      end
    end
    if (state == RESULTS) begin
      job.kind <= sf_kind_t'(setup.kind);
      job.conv <= conv;
      job.weighted <= conv || setup.kind == KIND_DEPTHWISE;
      job.mean <= mean;
      job.average <= setup.kind == KIND_AVERAGE_POOL;
      job.requantised <= conv || setup.kind == KIND_DEPTHWISE || (mean && row1 == setup.x_height);
      job.kernel_h <= element ? 6'd1 : setup.kernel_h;
      job.kernel_w <= element ? 6'd1 : setup.kernel_w;
      job.stride_h <= element && !resize ? 6'd1 : setup.stride_h;
      job.stride_w <= element && !resize ? 6'd1 : setup.stride_w;
      job.dilation_h <= setup.dilation_h;
      job.dilation_w <= setup.dilation_w;
      job.positions <= positions;
      job.pair <= pair;
      job.top <= top;
      job.left <= element ? '0 : -$signed({2'd0, setup.pad_left});
      job.x_height <= setup.x_height;
      job.x_width <= setup.x_width;
      job.x_first <= first;
      job.mean_rows <= row1 - row0;
      job.resize <= resize;
      job.pixels <= pixels;
      job.scan_width <= mean ? setup.x_width : setup.out_width;
      job.channel_first <= channel0;
      job.channel_end <= channel1;
      job.group_size <= group_size;
      job.depth <= depth;
      job.group_end <= 17'(group * group_size) + {1'b0, group_size};
      job.group_lane <= 16'(group * depth);
      job.x <= '{base: compute.x_base, ring: compute.x_ring, slot: x_slot, row_words: x_row_words,
                 pixel_words: compute.x_pixel_words};
      job.out <= '{base: compute.out_base, ring: compute.out_ring, slot: out_slot, row_words: out_row_words,
                   pixel_words: compute.out_pixel_words};
      job.residual <= '{base: compute.residual_base, ring: compute.residual_ring, slot: residual_slot,
                        row_words: residual_row_words, pixel_words: setup.residual_pixel_words};
      job.out_channel <= {1'b0, compute.out_channel};
      job.weights <= conv ? compute.weights_base + 20'(weights_offset) : compute.weights_base;
      job.weights_wrap <= compute.weights_base;
      job.weights_left <= compute.weights_ring - weights_slot;
      job.weights_ring <= compute.weights_ring;
      job.weights_row <= weights_row;
      job.depth_words <= depth_words;
      job.parameters <= setup.parameters;
      job.scale <= setup.scale;
      job.has_scale <= setup.has_scale;
      job.has_table0 <= setup.has_table0;
      job.has_table1 <= setup.has_table1;
      job.swapped <= setup.swapped;
      job.include_pad <= setup.include_pad;
      job.final_band <= row1 == setup.x_height;
      job.first_band <= row0 == 0;
      job.same <= same;
      job.binary <= setup.binary;
      job.out_zero <= setup.out_zero;
      job.pad_value <= setup.pad_value;
    end
  end
  assign weights_offset = weights_slot * weights_row;
  assign weights_rows = 17'(weights_slot) + 17'(channel1 - channel0) < 17'(compute.weights_ring)
                      ? weights_slot + channel1 - channel0 : compute.weights_ring;
  assign weights_end = 48'(compute.weights_base) + 48'(weights_rows) * 48'(weights_row);

  function automatic logic [15:0] clip(input logic [32:0] value, input logic [15:0] limit);
    return value > 33'(limit) ? limit : value[15:0];
  endfunction

  // ---- outputs
  assign is_sync = now.word[3:0] == OPCODE_SYNC;
  assign work = !is_sync && work_left;
  assign index = now.index;
  always_comb begin
    take = {sync.wait1, sync.wait0};
    give = {sync.signal1, sync.signal0};
    if (!is_sync) begin
      take = {15'd0, compute.take[1], 15'd0, compute.take[0]};
      give = {15'd0, compute.give[1], 15'd0, compute.give[0]};
    end
  end
endmodule
`default_nettype wire
