"""FPGAs: how fast the accelerator is on one, by open tools. No boards yet: `weft verilog` writes what any flow takes."""
