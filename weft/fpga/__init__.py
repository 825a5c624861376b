"""Boards and flows. None yet: `weft verilog` writes what any flow takes."""
