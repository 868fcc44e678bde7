// Writes `result` to a file, one hexadecimal row for each `valid`, as it is LATENCY cycles after; ends the simulation.
`default_nettype none
module sf_results #(
    parameter int BITS = 8,
    parameter int LATENCY = 1
) (
    input wire logic            clk,
    input wire logic            valid,
    input wire logic [BITS-1:0] result,
    input wire logic            done
);
  int                 file;
  string              name;
  logic [LATENCY-1:0] pending;
  int                 quiet;

  initial begin
    pending = '0;
    quiet = 0;
    if (!$value$plusargs("results=%s", name)) $fatal(1, "no +results=FILE");
    file = $fopen(name, "w");
    if (file == 0) $fatal(1, "cannot write %s", name);
  end

  always @(posedge clk) begin
    pending <= LATENCY'({pending, valid});
    if (pending[LATENCY-1]) $fdisplay(file, "%h", result);
    if (done) quiet <= quiet + 1;
    if (quiet > LATENCY) begin
      $fclose(file);
      $finish;
    end
  end
endmodule
`default_nettype wire
