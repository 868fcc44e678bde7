// Packages, each behind those that it imports. Modules are found by their names (-y).
sf_isa_pkg.sv
sf_registers_pkg.sv
sf_pkg.sv
sf_dma_pkg.sv
sf_float_pkg.sv
sf_compute_pkg.sv
