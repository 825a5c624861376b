"""The benchmark on a GPU: it refuses where there is none; what it measures comes from launches, here of loops."""

import sys
from types import SimpleNamespace

import pytest

from benchmarks import gpu_layers
from tests.runtime.test_gpu import Loops
from weft.compiler.gpu import program


def test_without_a_gpu_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda", None)
    monkeypatch.setattr(sys, "argv", ["gpu_layers"])
    with pytest.raises(SystemExit, match="benchmarks.gpu_layers needs a GPU: no bindings of the CUDA driver"):
        gpu_layers.main()


def test_a_row(monkeypatch):
    """Every launch takes the same time by the clock of this driver, so a row counts marks."""
    kernels = {}
    symbol = program._Builder._symbol

    def kept(self, loops):
        found = symbol(self, loops)
        kernels[found] = loops
        return found

    monkeypatch.setattr(program._Builder, "_symbol", kept)
    driver = Loops(kernels)
    for name, fake in (("cuda", SimpleNamespace(bindings=SimpleNamespace(driver=driver))), ("cuda.bindings", SimpleNamespace(driver=driver))):
        monkeypatch.setitem(sys.modules, name, fake)
    monkeypatch.setitem(gpu_layers.LAYERS, "small", (3, 8, 8, 3, 1, 1))
    monkeypatch.setattr(gpu_layers, "ROUNDS", 1)
    monkeypatch.setattr(gpu_layers, "RUNS", 2)
    row = gpu_layers.measure("small")
    assert row["macs"] == 8 * 8 * 8 * 27 and row["weft int8"] == row["weft float32"] == 0.5 and row["PyTorch float16"] is None
