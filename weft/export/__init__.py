"""Networks and the functional device as libraries for C. Imports isa, llvm, runtime and sim."""

from .board import export_board
from .functional import export_device
from .network import export_library

__all__ = ["export_board", "export_device", "export_library"]
