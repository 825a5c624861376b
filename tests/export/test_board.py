"""The device of a board: C drives the accelerator's own RTL through its registers, and networks compute what they do in Python."""

import ctypes
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import weft
from tests.conftest import ROOT
from tests.export.c_device import ADDRESS, CDevice, Struct
from tests.export.c_network import CNetwork
from tests.export.libraries import FOLDER, STRICT
from tests.random_networks import random_network
from weft.compiler.pipeline import build
from weft.export.board import export_board, registers
from weft.isa import DEFAULT, PRESETS, Config, WeftError
from weft.isa.asm import assemble
from weft.isa.registers import REGISTERS
from weft.sim.dram import Timing
from weft.sim.rtl.build import FAST, library_of
from weft.sim.rtl.library import Machine
from weft.sim.rtl.toolchain import cache_dir

WRITE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)
READ = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32))
WAIT = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
ELSEWHERE = 1 << 20  # where the accelerator sees the board's memory


class Board(ctypes.Structure):
    """weft_board."""

    _fields_ = [("registers", ctypes.c_void_p), ("write_register", WRITE), ("read_register", READ), ("wait", WAIT), ("context", ctypes.c_void_p),
                ("dram", ctypes.c_void_p), ("dram_address", ADDRESS), ("dram_size", ADDRESS), ("watchdog", ctypes.c_uint32)]


@cache
def library() -> Path:
    path = Path(FOLDER.name) / "board.so"
    export_board(path, cc=STRICT)
    return path


class RtlBoard(CDevice):
    """The simulated hardware as a board whose memory begins at ELSEWHERE."""

    name = "a board"

    def __init__(self, config: Config, dram_size: int, watchdog: int = 100_000, dram_address: int = ELSEWHERE):
        self.config, self.dram_size, self.struct = config, dram_size, Struct()
        self.machine = machine = Machine(library_of(config, FAST, cache_dir()))
        self.memory = np.zeros(ELSEWHERE + -(-dram_size // 4096) * 4096, np.uint8)
        machine.attach(self.memory, Timing(16, 0, 1.0, 64, None))
        machine.reset()
        lib, handle = machine._lib, machine._handle
        self.callbacks = (WRITE(lambda _, offset, value: not lib.weft_write_register(handle, offset, value)),
                          READ(lambda _, offset, value: not lib.weft_read_register(handle, offset, value)),
                          WAIT(lambda _: lib.weft_cycles(handle, 1000)))
        board = Board(None, *self.callbacks, None, self.memory.ctypes.data + ELSEWHERE, dram_address, dram_size, watchdog)
        self._check(ctypes.CDLL(str(library())).weft_board_open(ctypes.byref(self.struct), ctypes.byref(board)))

    def close(self):
        super().close()
        self.machine.close()


def test_a_random_network_by_python_s_executor():
    config = PRESETS["1x8x8"]
    module = build(random_network(0, 1), config)
    board = RtlBoard(config, module.memory_size)
    assert board.struct.fingerprint == int(config.fingerprint, 16) & 0xFFFFFFFF
    for seed in range(2):
        x = np.random.default_rng(seed).integers(-128, 128, module.tensors["x"].shape).astype(np.int8)
        assert module.run(x, device=board)[1].bit_exact
    assert not board.memory[:ELSEWHERE].any()
    board.close()


def test_a_library_on_the_rtl(tmp_path):
    """The digits network: C packs, launches the RTL, unpacks."""
    module = weft.compile(ROOT / "examples" / "digits" / "digits_int8.onnx")
    weft.export_library(module, tmp_path / "net.so")
    board = RtlBoard(DEFAULT, module.memory_size + 4096)
    network = CNetwork(tmp_path / "net.so", module, board, base=4096)
    x = np.random.default_rng(0).random((1, 1, 8, 8), np.float32)
    status, outputs = network.run([x])
    assert status == 0 and np.array_equal(outputs["logits"], module["main"](x))
    network.close()
    board.close()


def test_the_watchdog_ends_what_waits_for_ever():
    program = assemble(".dram 0 4096\n.code 0x800\ngemm uop=0:0 iter=0,0 dst=0,0 src=0,0 wgt=0,0 pop_prev\nfinish", "p", DEFAULT)
    board = RtlBoard(DEFAULT, 4096, watchdog=5000)
    board.write(0, program.dram_before)
    with pytest.raises(WeftError) as caught:
        board.launch(program.insn_address, len(program.insns))
    assert caught.value.found.startswith("status 4: a launch failed, status 0x") and caught.value.found.endswith(": reset the accelerator")
    board.close()


def test_what_lies_outside():
    board = RtlBoard(DEFAULT, 4096)
    for act, found in ((lambda: board.launch(4080, 2), "status 2: a stream must lie within DRAM, but is at 0xff0"),
                       (lambda: board.read(4000, 97), "status 2: an access must lie within DRAM, but is at 0xfa0"),
                       (lambda: board.write(4090, np.zeros(8, np.uint8)), "status 2: an access must lie within DRAM, but is at 0xffa")):
        with pytest.raises(WeftError) as caught:
            act()
        assert caught.value.found == found
    board.close()
    with pytest.raises(WeftError) as caught:
        RtlBoard(DEFAULT, 4096, dram_address=2**32 - 4095)
    assert caught.value.found == "status 2: not opened"


def test_mapped_registers():
    """Registers as words of memory: what the hardware would say is written there beforehand."""
    words = np.zeros(64, np.uint32)
    words[REGISTERS["fingerprint"].offset // 4] = 7
    dram = np.zeros(4096, np.uint8)
    board = Board(words.ctypes.data, WRITE(), READ(), WAIT(), None, dram.ctypes.data, 0x1000, dram.size, 99)
    struct, device = Struct(), CDevice.__new__(CDevice)
    device.struct, device.config, device.dram_size = struct, DEFAULT, 4096
    device._check(ctypes.CDLL(str(library())).weft_board_open(ctypes.byref(struct), ctypes.byref(board)))
    device.launch(0x40, 3)
    said = {name: int(words[r.offset // 4]) for name, r in REGISTERS.items()}
    expected = {"control": 1, "insn_count": 3, "insn_address": 0x1040, "watchdog": 99, "fingerprint": 7}
    assert struct.fingerprint == 7 and said == dict.fromkeys(REGISTERS, 0) | expected | {n: 0x1000 for n in REGISTERS if n.endswith("_base")}
    device.close()


def test_registers_are_those_of_the_table():
    text = registers()
    assert "#define REGISTER_LUT_BASE 0x60u\n" in text and "#define STATUS_BUS_ERROR 0x4u\n" in text and "#define CONTROL_LAUNCH 0x1u\n" in text
    assert text.count("#define REGISTER_") == len(REGISTERS)
