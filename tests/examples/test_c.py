"""The example in C: built by its Makefile, it prints what Python computes."""

import subprocess
import sys

import numpy as np
import pytest

import weft
from tests.conftest import ROOT

HERE = ROOT / "examples" / "c"


def image() -> np.ndarray:
    return np.loadtxt(HERE / "seven.txt", dtype=np.float32).reshape(1, 1, 8, 8) / 16


def expected_text(logits: np.ndarray) -> str:
    """What the program prints; %a tells every bit."""
    lines = [f"{k}: {float(v).hex()}" for k, v in enumerate(logits.reshape(-1))]
    return "\n".join([*lines, f"it is a {logits.argmax()}", ""])


def same(text: str) -> list:
    """Printed lines with their numbers as numbers: C and Python write the same one otherwise."""
    words = [line.split(": ") for line in text.splitlines()]
    return [(w[0], float.fromhex(w[1])) if len(w) == 2 else w for w in words]


@pytest.mark.parametrize("target", ["accel,cpu", "cpu"])
def test_the_program_prints_what_python_computes(target, tmp_path):
    made = subprocess.run(["make", "-s", "-C", HERE, f"BUILD={tmp_path}", f"WEFT={sys.executable} -m weft.cli", f"TARGET={target}", "CFLAGS=-Wall -Wextra -Werror", "run"],
                          capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    module = weft.load(tmp_path / "digits.weft")
    assert ("accel" in {o.where for o in module.operators}) == (target != "cpu")
    outputs, _ = module.run(image())
    printed = made.stdout[made.stdout.index("0: "):]
    assert same(printed) == same(expected_text(outputs["logits"]))
    assert printed.endswith("it is a 7\n")
    short = subprocess.run([tmp_path / "digits"], input="1 2 3", capture_output=True, text=True)
    assert (short.returncode, short.stderr) == (1, "an image is 64 numbers\n")
