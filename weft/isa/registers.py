"""The register map: 32-bit registers behind AXI4-Lite, by byte offset. Offsets up to 0x24 are those that VTA hosts expect."""

from dataclasses import dataclass
from enum import IntEnum


@dataclass(frozen=True)
class Register:
    """One register. `access` is "rw" (host writes, hardware reads) or "ro" (hardware writes)."""

    name: str
    offset: int
    access: str
    doc: str
    bits: tuple[tuple[str, int, int], ...] = ()  # (name, lowest bit, width)


REGISTERS = {r.name: r for r in (
    Register("control", 0x00, "rw", "bit 0 launches on its rising edge; bit 1 reads 1 when FINISH was reached; writing 1 to bit 2 clears the token queues",
             (("launch", 0, 1), ("finish", 1, 1), ("clear_tokens", 2, 1))),
    Register("cycles", 0x04, "ro", "cycles from launch to finish; counts while running"),
    Register("insn_count", 0x08, "rw", "instructions in the stream"),
    Register("insn_address", 0x0C, "rw", "byte address of the stream"),
    Register("uop_base", 0x10, "rw", "byte address added to UOP's DRAM addresses"),
    Register("inp_base", 0x14, "rw", "likewise INP"),
    Register("wgt_base", 0x18, "rw", "likewise WGT"),
    Register("acc_base", 0x1C, "rw", "likewise ACC and ACC_8BIT"),
    Register("out_base", 0x20, "rw", "likewise OUT"),
    Register("acc_writes", 0x24, "ro", "elements of ACC written since launch"),
    Register("version", 0x28, "ro", "isa.table.VERSION"),
    Register("capability", 0x2C, "ro", "isa.table.CAPABILITIES: which extensions are there"),
    Register("status", 0x30, "ro", "what the machine is doing, and what went wrong since launch",
             (("busy", 0, 1), ("watchdog", 1, 1), ("bus_error", 2, 1), ("tokens_left", 3, 1), ("illegal", 4, 1),
              ("load_waits_next", 8, 1), ("compute_waits_prev", 9, 1), ("compute_waits_next", 10, 1),
              ("store_waits_prev", 11, 1), ("load_full", 12, 1), ("compute_full_prev", 13, 1), ("compute_full_next", 14, 1),
              ("store_full", 15, 1))),
    Register("qnt_base", 0x34, "rw", "likewise QNT"),
    Register("watchdog", 0x38, "rw", "cycles without any instruction or beat moving before status.watchdog rises and the run ends; 0: never"),
    Register("tokens", 0x3C, "ro", "tokens in each queue, at most 255 shown",
             (("load_to_compute", 0, 8), ("compute_to_load", 8, 8), ("compute_to_store", 16, 8), ("store_to_compute", 24, 8))),
    Register("fingerprint", 0x40, "ro", "low 32 bits of Config.fingerprint, so that a host refuses a machine it was not compiled for"),
    Register("gemm_steps", 0x44, "ro", "GEMM and DEPTHWISE steps since launch, without resets"),
    Register("alu_steps", 0x48, "ro", "ALU steps since launch"),
    Register("read_beats", 0x4C, "ro", "beats read from DRAM since launch"),
    Register("write_beats", 0x50, "ro", "beats written to DRAM since launch"),
    Register("lut_base", 0x60, "rw", "likewise LUT"),
    Register("load_busy", 0x54, "ro", "cycles in which the load module ran an instruction"),
    Register("compute_busy", 0x58, "ro", "likewise compute"),
    Register("store_busy", 0x5C, "ro", "likewise store"),
)}
ADDRESS_BITS = 8  # of the AXI4-Lite window


class Queue(IntEnum):
    """The four token queues, in the order of the tokens register."""

    LOAD_TO_COMPUTE, COMPUTE_TO_LOAD, COMPUTE_TO_STORE, STORE_TO_COMPUTE = 0, 1, 2, 3


TOKEN_QUEUE_DEPTH = 255  # tokens that a queue holds before a push waits
