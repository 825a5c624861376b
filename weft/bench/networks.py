"""ResNet-18, ResNet-50, MobileNet-V1 and V2, as published, in int8 with seeded weights: `build(name)`.

ResNet-50 strides in the first 1 by 1 convolution of a block, as in its paper (3.86 GMAC), not in the 3 by 3 (4.09 GMAC).
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import onnx

from weft.compiler import frontends
from weft.compiler.graph import Graph
from weft.isa import WeftError

from .qdq import QdqBuilder, RealBuilder, Tensor

CLASSES = 1000
RELU6 = 6.0


def build(name: str, batch: int = 1, size: int = 224, seed: int = 0, real: bool = False) -> onnx.ModelProto:
    """A network of NETWORKS for images float32 [batch, 3, size, size], as an int8 QDQ model; the same for the same seed.

    real: the same network without quantisation: its weights are the real numbers that the int8 ones stand for.

    Raises
    ------
    WeftError: for a name that is none of NETWORKS.
    """
    if name not in NETWORKS:
        raise WeftError(f"network '{name}'", f"a network is one of {', '.join(NETWORKS)}", repr(name), "one of these")
    b = (RealBuilder if real else QdqBuilder)(name, seed)
    features = NETWORKS[name](b, b.input((batch, 3, size, size)))
    return b.model(b.dense(b.global_average(features), CLASSES))


def load(name: str, batch: int = 1, size: int = 224, seed: int = 0, real: bool = False) -> Graph:
    """The same as a graph, ready for `weft.compile`."""
    return frontends.onnx.load(build(name, batch, size, seed, real).SerializeToString(), name)


def images(batch: int = 1, size: int = 224, seed: int = 0) -> np.ndarray:
    """Seeded images float32 [batch, 3, size, size] of mean 0 and variance 1: patches of several sizes, as photographs have."""
    rng = np.random.default_rng(seed)
    total = np.zeros((batch, 3, size, size), np.float32)
    for patch in (1, 4, 16, 64):
        cells = -(-size // patch)
        coarse = rng.standard_normal((batch, 3, cells, cells), np.float32)
        total += coarse.repeat(patch, axis=2).repeat(patch, axis=3)[:, :, :size, :size] / 2
    return total


def _resnet18(b: QdqBuilder, x: Tensor) -> Tensor:
    x = b.max_pool(b.conv(x, 64, 7, 2), 3, 2)
    for channels, stride in _stages((64, 128, 256, 512), (2, 2, 2, 2)):
        y = b.conv(b.conv(x, channels, 3, stride), channels, 3, clip=None)
        x = b.add(y, _shortcut(b, x, channels, stride), math.inf)
    return x


def _resnet50(b: QdqBuilder, x: Tensor) -> Tensor:
    x = b.max_pool(b.conv(x, 64, 7, 2), 3, 2)
    for channels, stride in _stages((64, 128, 256, 512), (3, 4, 6, 3)):
        y = b.conv(b.conv(b.conv(x, channels, 1, stride), channels, 3), 4 * channels, 1, clip=None)
        x = b.add(y, _shortcut(b, x, 4 * channels, stride), math.inf)
    return x


def _stages(widths: tuple[int, ...], depths: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """(channels, stride) of every block: the first of each stage but the first halves the image."""
    for stage, (channels, depth) in enumerate(zip(widths, depths, strict=True)):
        for block in range(depth):
            yield channels, 2 if stage and not block else 1


def _shortcut(b: QdqBuilder, x: Tensor, channels: int, stride: int) -> Tensor:
    return x if x.shape[1] == channels and stride == 1 else b.conv(x, channels, 1, stride, clip=None)


def _mobilenet_v1(b: QdqBuilder, x: Tensor) -> Tensor:
    x = b.conv(x, 32, 3, 2, clip=RELU6)
    for channels, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1)):
        x = b.conv(_depthwise(b, x, stride), channels, 1, clip=RELU6)
    return x


def _depthwise(b: QdqBuilder, x: Tensor, stride: int) -> Tensor:
    return b.conv(x, x.shape[1], 3, stride, groups=x.shape[1], clip=RELU6)


def _mobilenet_v2(b: QdqBuilder, x: Tensor) -> Tensor:
    x = b.conv(x, 32, 3, 2, clip=RELU6)
    for expansion, channels, depth, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                               (6, 160, 3, 2), (6, 320, 1, 1)):
        for block in range(depth):
            y = x if expansion == 1 else b.conv(x, expansion * x.shape[1], 1, clip=RELU6)
            y = b.conv(_depthwise(b, y, 1 if block else stride), channels, 1, clip=None)
            x = b.add(x, y) if block else y
    return b.conv(x, 1280, 1, clip=RELU6)


NETWORKS: dict[str, Callable[[QdqBuilder, Tensor], Tensor]] = {
    "resnet18": _resnet18, "resnet50": _resnet50, "mobilenet_v1": _mobilenet_v1, "mobilenet_v2": _mobilenet_v2}
