"""Whole networks in cocotb against the RTL: `python -m tests.cocotb.networks [MODEL...]`, which `make cocotb` calls.

Without a model: the digits network of examples/, and the 8-layer residual network of $WEFT_MODELS where that folder is.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

import weft
from tests.cocotb.run import ROOT, run

DIGITS = ROOT / "examples" / "digits" / "digits_int8.onnx"
RESNET8 = Path(os.environ.get("WEFT_MODELS", ROOT.parent / "shared" / "models")) / "resnet8_cifar10_int8.tflite"


def run_network(model: Path, config: str = "default", quiet: bool = False) -> int:
    """Compiles a model and runs one seeded random input through it in cocotb; the number of failures."""
    module = weft.compile(model, config)
    rng = np.random.default_rng(0)
    info = module.tensors[module.inputs[0]]
    x = rng.random(info.shape).astype(info.dtype) if info.dtype.startswith("float") else rng.integers(-128, 128, info.shape).astype(info.dtype)
    with tempfile.TemporaryDirectory(prefix="weft-network-") as folder:
        path = Path(folder) / f"{module.name}.weft"
        module.save(path)
        np.save(path.with_suffix(".npy"), x)
        return run(config, path, module="network_bench", quiet=quiet)


def main() -> int:
    models = [Path(m) for m in sys.argv[1:]] or [DIGITS, *([RESNET8] if RESNET8.is_file() else [])]
    return sum(run_network(model) for model in models)


if __name__ == "__main__":
    sys.exit(main())
