"""Devices that run on this computer. Imports isa and runtime; only `rtl` and `interactive` import hw."""
