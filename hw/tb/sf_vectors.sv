// The clock, and rows of a file as the inputs of a unit: one row of BITS / 8 bytes a set, most significant byte first, its top
// byte the number of idle cycles after it. Idle inputs are random, so that a unit that takes them late is caught.
`default_nettype none
module sf_vectors #(
    parameter int BITS = 8
) (
    output logic            clk,
    output logic            valid,
    output logic [BITS-9:0] data,
    output logic            done
);
  int              file;
  string           name;
  logic [7:0]      idle;
  logic [BITS-1:0] row;
  logic            over;

  initial begin
    clk = 0;
    forever #1 clk = !clk;
  end

  initial begin
    valid = 0;
    data = '0;
    done = 0;
    idle = 0;
    over = 0;
    if (!$value$plusargs("vectors=%s", name)) $fatal(1, "no +vectors=FILE");
    file = $fopen(name, "rb");
    if (file == 0) $fatal(1, "no file %s", name);
  end

  always @(posedge clk) begin
    /* verilator lint_off BLKSEQ */ // the row that is read is driven in the same cycle
    if (idle == 0 && !over) over = $fread(row, file) != BITS / 8;
    /* verilator lint_on BLKSEQ */
    done <= over;
    valid <= idle == 0 && !over;
    if (idle == 0 && !over) begin
      data <= row[BITS-9:0];
      idle <= row[BITS-1-:8];
    end else begin
      for (int i = 0; i < BITS - 8; i += 8) data[i+:8] <= 8'($urandom);
      if (idle != 0) idle <= idle - 1;
    end
  end
endmodule
`default_nettype wire
