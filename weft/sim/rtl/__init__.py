"""The RTL device: the machine's own Verilog, built by Verilator into a library with its clock, host and DRAM in C++."""

from .device import RtlDevice

__all__ = ["RtlDevice"]
