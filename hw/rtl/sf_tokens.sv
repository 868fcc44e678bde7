// The counting semaphores between the engines: for each engine, the tokens that it has from the first and the second other engine.
// Engines count load 0, compute 1, store 2; an engine's others are the rest in that order.
`default_nettype none
module sf_tokens (
    input  wire logic                  clk,
    input  wire logic                  rst,
    input  wire logic [2:0]            take_valid,
    input  wire logic [2:0][1:0][15:0] take,
    output      logic [2:0]            take_ready,   // the tokens are there; they are gone when both are high
    input  wire logic [2:0]            give_valid,
    input  wire logic [2:0][1:0][15:0] give,
    output      logic                  left,         // any engine has a token
    output      logic [2:0]            overflow      // pulse, by giver: more tokens than a counter holds
);
  logic [2:0][1:0][15:0] count;
  logic [2:0][1:0][15:0] given;   // what each counter gets in this cycle
  logic [2:0][1:0][15:0] taken;
  logic [2:0][1:0]       full;

  function automatic logic [15:0] given_by(logic valid, logic [15:0] tokens);
    return valid ? tokens : 16'd0;
  endfunction

  always_comb begin
    given[0][0] = given_by(give_valid[1], give[1][0]);
    given[0][1] = given_by(give_valid[2], give[2][0]);
    given[1][0] = given_by(give_valid[0], give[0][0]);
    given[1][1] = given_by(give_valid[2], give[2][1]);
    given[2][0] = given_by(give_valid[0], give[0][1]);
    given[2][1] = given_by(give_valid[1], give[1][1]);
    for (int e = 0; e < 3; e++) begin
      take_ready[e] = count[e][0] >= take[e][0] && count[e][1] >= take[e][1];
      for (int k = 0; k < 2; k++) taken[e][k] = given_by(take_valid[e] && take_ready[e], take[e][k]);
    end
  end

  always_ff @(posedge clk) begin
    for (int e = 0; e < 3; e++) begin
      for (int k = 0; k < 2; k++) begin
        if (rst) begin
          count[e][k] <= '0;
          full[e][k]  <= 1'b0;
        end else begin
          // What is taken is there, so only the sum with what is given can leave the 16 bits.
          {full[e][k], count[e][k]} <= {1'b0, count[e][k] - taken[e][k]} + {1'b0, given[e][k]};
        end
      end
    end
  end

  assign left        = count != '0;
  assign overflow[0] = full[1][0] || full[2][0];
  assign overflow[1] = full[0][0] || full[2][1];
  assign overflow[2] = full[0][1] || full[1][1];
endmodule
`default_nettype wire
