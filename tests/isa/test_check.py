"""The checker flags none of the sound programs, and sees each kind of fault."""

import numpy as np
import pytest

from tests.conformance import programs
from weft.isa import DEFAULT, decode, encode_micro_ops
from weft.isa.asm import from_text
from weft.isa.check import check

DRAM = np.zeros(0x4000, np.uint8)
DRAM[:4] = encode_micro_ops([0], [0], [0], DEFAULT).view(np.uint8)
SOUND = """load uop sram=0 dram=0 y=1 x=1 stride=1
load inp sram=0 dram=16 y=1 x=4 stride=4
load wgt sram=0 dram=2 y=1 x=1 stride=1 push_next
gemm uop=0:1 iter=1,4 dst=0,1 src=0,1 wgt=0,0 pop_prev push_next
store out sram=0 dram=64 y=1 x=4 stride=4 pop_prev push_prev
finish pop_next"""


def findings(text):
    return [str(f) for f in check([from_text(line) for line in text.splitlines()], DEFAULT, DRAM)]


@pytest.mark.parametrize("program", programs(), ids=lambda p: p.name)
def test_conformance_programs_are_sound(program):
    assert check(decode(program.insns, program.config), program.config, program.dram_before, program.dram_base) == []


def test_sound():
    assert findings(SOUND) == []


@pytest.mark.parametrize("old, new, expected", [
    ("gemm uop=0:1 iter=1,4 dst=0,1", "gemm uop=0:1 iter=1,4 dst=0,400 half", [
        "error: instruction 3: it promises to stay within one half of acc, and touches both"]),
    ("wgt=0,0 pop_prev", "wgt=0,0", [
        "note: program: 1 tokens are left over in load_to_compute",
        "error: instruction 5: FINISH does not wait for instruction 2 (LOAD in load)",
        "error: instruction 3: race: inp elements read by compute and written by instruction 1 (load), and no token orders the two",
        "error: instruction 3: race: wgt elements read by compute and written by instruction 2 (load), and no token orders the two"]),
    ("pop_prev push_prev", "push_prev", [
        "note: program: 1 tokens are left over in compute_to_store",
        "error: instruction 4: race: acc elements read by store and written by instruction 3 (compute), and no token orders the two"]),
    ("stride=1 push_next", "stride=1", [
        "error: program: deadlock: load has done all its 2 instructions; compute waits for a token of load before instruction 3 (GEMM, "
        "pop_prev, push_next); store waits for a token of compute before instruction 4 (STORE OUT, pop_prev, push_prev)"]),
    ("\nfinish pop_next", "", ["error: program: no FINISH: the machine would never be done"]),
    ("finish pop_next", "finish", ["note: program: 1 tokens are left over in store_to_compute",
                                   "error: instruction 5: FINISH does not wait for instruction 4 (STORE in store)"]),
    ("dst=0,1", "dst=0,1000", ["error: instruction 3: acc element 3000 of 2048"]),
    ("sram=0 dram=16", "sram=2046 dram=16", ["error: instruction 1: inp elements up to 2049 of 2048"]),
    ("dram=64 y=1", "dram=1022 y=1", ["error: instruction 4: bytes 0x3fe0 to 0x401f are not within DRAM (0x0 to 0x3fff)"]),
    ("uop=0:1", "uop=0:2", ["error: instruction 3: micro-op 1 is used, but nothing loaded it"]),
    ("dram=64 y=1", "dram=18 y=1", []),  # in place in DRAM, ordered through compute
    ("store out", "store inp", ["error: instruction 4: STORE of INP means nothing: STORE takes OUT, LOAD everything else"]),
])
def test_faults(old, new, expected):
    assert old in SOUND
    assert findings(SOUND.replace(old, new)) == expected


def test_dram_race_between_store_and_load():
    text = SOUND.replace("finish", "load inp sram=8 dram=64 y=1 x=1 stride=1 push_next\nload uop sram=0 dram=0 y=0 x=0 stride=0 pop_prev\nfinish")
    assert findings(text) == ["error: instruction 5: race: DRAM read by load and written by instruction 4 (store), and no token orders the two"]
