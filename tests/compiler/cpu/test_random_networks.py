"""Random networks of integer operators wholly on the CPU: every byte is the reference's, in every form and with two threads."""

from dataclasses import replace

import numpy as np
import pytest

import weft
from tests.random_networks import random_network
from weft.llvm import machine
from weft.runtime.executor import Executor, reference


@pytest.mark.parametrize("seed", range(6))
def test_every_byte_is_the_reference_s(seed):
    module = weft.compile(random_network(seed, 1 + seed % 2), target="cpu")
    assert {o.where for o in module.operators} == {"cpu"}
    info = module.tensors[module.inputs[0]]
    x = np.random.default_rng(seed).integers(-128, 128, info.shape).astype(np.int8)
    expected = reference(module, [x])
    for form in machine.host_forms():
        executor = Executor(replace(module, code={form.name: module.code[form.name]}), None, threads=1 + seed % 2)
        outputs, _ = executor.run([x], check=False)
        assert all(np.array_equal(outputs[name], expected[name]) for name in module.outputs), form
