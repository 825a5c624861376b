"""Checks a whole module: each stream statically, then what the streams compute against the graph that they were made from.

The static checker proves that every order which the tokens allow computes the same. So one order is enough for the second
part: the functional device and the integer reference must agree on seeded random inputs, where a wrong address shows.
"""

import numpy as np

from weft.isa import WeftError, decode
from weft.isa.check import Finding, check

from .agreement import agree, has_real_numbers
from .device import open_device
from .executor import Executor, reference
from .module import Module


def random_inputs(module: Module, seed: int) -> list[np.ndarray]:
    """Inputs of the right shapes: all values of an integer type, or normally distributed real numbers."""
    rng = np.random.default_rng(seed)
    arrays = []
    for name in module.inputs:
        info = module.tensors[name]
        dtype = np.dtype(info.dtype)
        if dtype.kind == "f":
            arrays.append(rng.standard_normal(info.shape).astype(dtype))
        else:
            low, high = (0, 1) if dtype.kind == "b" else (max(np.iinfo(dtype).min, -1 << 15), min(np.iinfo(dtype).max, 1 << 15))
            arrays.append(rng.integers(low, high, info.shape, endpoint=True).astype(dtype))
    return arrays


def static_findings(module: Module) -> list[Finding]:
    """What the static checker says of every launch."""
    dram = module.memory()
    findings = []
    for launch in module.launches:
        try:
            stream = decode(module.stream(launch), module.config)
        except WeftError as error:
            findings.append(Finding("error", None, str(error)))
            continue
        findings += check(stream, module.config, dram)
    return findings


def validate(module: Module, inputs: int = 8) -> list[Finding]:
    """Every finding of a module; no errors means that its streams are sound, and compute what its operators mean.

    inputs: random inputs to compare on, until one differs. A single one may miss a fault that saturation hides.
    """
    findings = static_findings(module)
    if any(f.level == "error" for f in findings):
        return findings  # a stream that is not sound computes nothing in particular
    device = open_device("functional", module.config, module.memory_size) if module.launches else None
    executor, real = Executor(module, device), has_real_numbers(module)
    for seed in range(inputs):
        arrays = random_inputs(module, seed)
        outputs, _ = executor.run(arrays, check=False)
        for name, expected in reference(module, arrays).items():
            wrong = int((outputs[name] != expected).sum())
            if wrong and not (real and agree(outputs[name], expected)):
                findings.append(Finding("error", None, f"{wrong} of {expected.size} values of output '{name}' differ from the integer "
                                                       f"reference, on random inputs of seed {seed}"))
        if any(f.level == "error" for f in findings):
            break
    if device is not None:
        device.close()
    return findings
