"""What every operator means, as NumPy functions on logical layouts: `KERNELS[op](attrs, *arrays) -> tuple of arrays`.

Lower-case operators work on stored integers and are exact; the others are ONNX's on real numbers. An absent optional
input is None. The integer reference and the host's share of a compiled network both run these.
"""

from . import chain, conv, dense, elementwise, normalise, onnx_node, pieces, pool, quantise, resize, shape, view
from .registry import KERNELS, run

__all__ = ["KERNELS", "chain", "conv", "dense", "elementwise", "normalise", "onnx_node", "pieces", "pool", "quantise", "resize", "run", "shape",
           "view"]
