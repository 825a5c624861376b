"""The ground floor: what the machine is and what its instructions mean. Imports nothing of weft."""

from .config import DEFAULT, PRESETS, Config, load_config
from .errors import WeftError
from .program import Instruction, RawProgram, decode, decode_micro_ops, encode, encode_micro_ops
from .quantise import requantise
from .table import ALU_BY_NAME, ALU_OPS, INSTRUCTIONS, MEMORIES, AluOp, Memory, Module, Opcode, module_of

__all__ = ["ALU_BY_NAME", "ALU_OPS", "DEFAULT", "INSTRUCTIONS", "MEMORIES", "PRESETS", "AluOp", "Config", "Instruction",
           "Memory", "Module", "Opcode", "RawProgram", "WeftError", "decode", "decode_micro_ops", "encode",
           "encode_micro_ops", "load_config", "module_of", "requantise"]
