`default_nettype none
// The scratchpad: BANKS banks of BANK_WORDS words of LANES bytes, at word addresses 0 .. BANKS * BANK_WORDS - 1.
//
// Each bank reads one word and writes one word a cycle. The compute engine's streams are never refused; its parameters (`p_ready`),
// the store engine (`s_ready`) and the load engine (`l_ready`) are, in a cycle in which one that comes before uses that port of the
// bank. Data follow READ_LATENCY cycles after a read that was accepted: a bank's offset, its RAM and the choice among the banks are
// a register each. A read sees the writes of all cycles before its own. An address behind the last word is accepted, does nothing
// and raises `fault_range`; `fault_conflict` says that two streams read different words of one bank. Both come a cycle later.
module sf_scratchpad #(
    parameter int LANES = 8,
    parameter int BANKS = 8,
    parameter int BANK_WORDS = 1024
) (
    input wire logic clk,
    input wire logic rst,

    input  wire logic [3:0]                  c_read,
    input  wire logic [3:0][           19:0] c_address,
    output logic      [3:0][LANES-1:0][ 7:0] c_data,

    input wire logic                  w_valid,
    input wire logic [     19:0]      w_address,
    input wire logic [LANES-1:0][7:0] w_data,
    input wire logic [LANES-1:0]      w_strobe,

    input  wire logic                  p_valid,
    output logic                       p_ready,
    input  wire logic [     19:0]      p_address,
    output logic                       p_data_valid,
    output logic      [LANES-1:0][7:0] p_data,

    input  wire logic                  s_valid,
    output logic                       s_ready,
    input  wire logic [     19:0]      s_address,
    output logic                       s_data_valid,
    output logic      [LANES-1:0][7:0] s_data,

    input  wire logic                  l_valid,
    output logic                       l_ready,
    input  wire logic [     19:0]      l_address,
    input  wire logic [LANES-1:0][7:0] l_data,

    output logic fault_range,
    output logic fault_conflict
);
  localparam int OFFSET_BITS = $clog2(BANK_WORDS);
  localparam int BANK_BITS = sf_pkg::ADDRESS_BITS - OFFSET_BITS + 1;  // any quotient
  localparam int READERS = 6;  // the compute engine's streams, its parameters, the store engine
  localparam int STREAMS = 4;
  localparam int PARAMETERS = 4;
  localparam int STORE = 5;

  // Where each request goes.
  logic [READERS-1:0] asked, in_range, reads;
  logic [READERS-1:0][19:0] address;
  logic [READERS-1:0][BANK_BITS-1:0] bank;
  logic [READERS-1:0][OFFSET_BITS-1:0] offset;
  logic [BANK_BITS-1:0] w_bank, l_bank;
  logic [OFFSET_BITS-1:0] w_offset, l_offset;
  logic w_in_range, l_in_range, w_writes, l_writes;

  assign asked   = {s_valid, p_valid, c_read};
  assign address = {s_address, p_address, c_address};
  for (genvar port = 0; port < READERS; port++) begin : readers
    sf_bank_index #(
        .BANK_WORDS(BANK_WORDS),
        .BANK_BITS(BANK_BITS)
    ) index (
        .address(address[port]),
        .bank(bank[port]),
        .offset(offset[port])
    );
    assign in_range[port] = 32'(bank[port]) < BANKS;
  end
  sf_bank_index #(
      .BANK_WORDS(BANK_WORDS),
      .BANK_BITS(BANK_BITS)
  ) w_index (
      .address(w_address),
      .bank(w_bank),
      .offset(w_offset)
  );
  sf_bank_index #(
      .BANK_WORDS(BANK_WORDS),
      .BANK_BITS(BANK_BITS)
  ) l_index (
      .address(l_address),
      .bank(l_bank),
      .offset(l_offset)
  );
  assign w_in_range = 32'(w_bank) < BANKS;
  assign l_in_range = 32'(l_bank) < BANKS;

  // Who is served.
  logic conflict;
  logic [READERS-1:0] taken;
  always_comb begin
    p_ready  = 1'b1;
    s_ready  = !(p_valid && bank[PARAMETERS] == bank[STORE]);
    conflict = 1'b0;
    for (int a = 0; a < STREAMS; a++) begin
      if (c_read[a] && bank[a] == bank[PARAMETERS]) p_ready = 1'b0;
      if (c_read[a] && bank[a] == bank[STORE]) s_ready = 1'b0;
      for (int b = 0; b < a; b++) begin
        if (c_read[a] && c_read[b] && bank[a] == bank[b] && offset[a] != offset[b]) conflict = 1'b1;
      end
    end
  end
  assign l_ready  = !(w_valid && w_bank == l_bank);
  assign taken    = {s_valid && s_ready, p_valid && p_ready, c_read};
  assign reads    = taken & in_range;
  assign w_writes = w_valid && w_in_range;
  assign l_writes = l_valid && l_ready && l_in_range;

  always_ff @(posedge clk) begin
    fault_range <= !rst && ((asked & ~in_range) != '0 || (w_valid && !w_in_range) || (l_valid && !l_in_range));
    fault_conflict <= !rst && conflict;
  end

  // Write data wait a cycle, so that each bank knows whether they are its own.
  logic [LANES-1:0][7:0] w_data_held, l_data_held;
  logic [LANES-1:0] w_strobe_held;
  always_ff @(posedge clk) begin
    if (w_valid) w_data_held <= w_data;
    if (w_valid) w_strobe_held <= w_strobe;
    if (l_valid) l_data_held <= l_data;
  end

  logic [LANES-1:0][7:0] bank_data[BANKS];
  for (genvar b = 0; b < BANKS; b++) begin : banks
    logic read, read_held, write_held, write_loads;
    logic [OFFSET_BITS-1:0] read_offset, read_offset_held, write_offset_held;
    logic w_here, l_here;

    always_comb begin
      read = 1'b0;
      read_offset = '0;
      for (int port = 0; port < READERS; port++) begin
        if (reads[port] && bank[port] == BANK_BITS'(b)) begin
          read = 1'b1;
          read_offset |= offset[port];  // of ports that share a word, the same one
        end
      end
    end
    assign w_here = w_writes && w_bank == BANK_BITS'(b);
    assign l_here = l_writes && l_bank == BANK_BITS'(b);

    always_ff @(posedge clk) begin
      read_held  <= read;
      write_held <= w_here || l_here;
      if (read) read_offset_held <= read_offset;
      if (w_here || l_here) begin
        write_loads <= l_here;
        write_offset_held <= l_here ? l_offset : w_offset;
      end
    end

    sf_bank #(
        .LANES(LANES),
        .WORDS(BANK_WORDS)
    ) ram (
        .clk(clk),
        .read(read_held),
        .read_offset(read_offset_held),
        .read_data(bank_data[b]),
        .write(write_held),
        .write_loads(write_loads),
        .write_offset(write_offset_held),
        .w_data(w_data_held),
        .w_strobe(w_strobe_held),
        .l_data(l_data_held)
    );
  end

  // Which bank's data each reader waits for.
  localparam int SELECT_BITS = BANKS > 1 ? $clog2(BANKS) : 1;
  logic [READERS-1:0] reads_held, reads_out;
  logic [READERS-1:0][SELECT_BITS-1:0] select_held, select_out;
  always_ff @(posedge clk) begin
    reads_held <= taken;  // an address out of range is answered too, with any data
    reads_out  <= reads_held;
    for (int port = 0; port < READERS; port++) begin
      select_held[port] <= SELECT_BITS'(bank[port]);
    end
    select_out   <= select_held;
    s_data_valid <= reads_out[STORE];
    p_data_valid <= reads_out[PARAMETERS];
    if (reads_out[PARAMETERS]) p_data <= bank_data[select_out[PARAMETERS]];
    if (reads_out[STORE]) s_data <= bank_data[select_out[STORE]];
    for (int port = 0; port < STREAMS; port++) begin
      if (reads_out[port]) c_data[port] <= bank_data[select_out[port]];
    end
    if (rst) begin
      reads_held   <= '0;
      reads_out    <= '0;
      s_data_valid <= 1'b0;
      p_data_valid <= 1'b0;
    end
  end
endmodule
`default_nettype wire
