import numpy as np
import pytest

from weft.compiler.cpu.contraction import Contraction
from weft.compiler.cpu.kernel import channels_last
from weft.compiler.cpu.operators.depthwise import Depthwise
from weft.compiler.cpu.pack import packed
from weft.compiler.cpu.stored import LEAST, find

RNG = np.random.default_rng(0)


def weights(dtype: str, *shape: int) -> np.ndarray:
    return RNG.integers(-128, 128, shape).astype(dtype)


def contraction(dtype: str, outputs: int, inputs: int, kernel: tuple[int, int], groups: int = 1, parts: int = 1) -> Contraction:
    x, y = (channels_last("uint8" if dtype == "int8" else dtype, (1, c, 9, 9)) for c in (inputs, outputs))
    return Contraction(x, y, kernel, groups=groups, parts=parts)


def found(value: np.ndarray, lies: np.ndarray) -> np.ndarray | None:
    """The constant as it is had from a blob in which it lies at byte 64."""
    blob = np.concatenate([np.zeros(64, np.uint8), np.ascontiguousarray(lies).reshape(-1).view(np.uint8), np.ones(9, np.uint8)])
    place = find(value, lies, 64)
    return None if place is None else place.read(blob, value.dtype, value.shape)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("outputs, inputs, kernel, groups, parts", [(40, 30, (3, 3), 1, 1), (64, 64, (1, 3), 2, 1), (24, 40, (3, 2), 1, 2)])
def test_weights_of_convolutions(dtype, outputs, inputs, kernel, groups, parts):
    w = weights(dtype, outputs, inputs // groups, parts * kernel[0], kernel[1])
    assert found(w, packed(w, contraction(dtype, outputs, inputs, kernel, groups, parts))).tobytes() == w.tobytes()


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_weights_of_matrix_products(dtype):
    w = weights(dtype, 90, 70)
    lies = packed(w.reshape(90, 70, 1, 1), contraction(dtype, 90, 70, (1, 1)))
    for value in (w, np.ascontiguousarray(w.T)):
        assert found(value, lies).tobytes() == value.tobytes()


def test_weights_of_depthwise_convolutions():
    w = weights("int8", 500, 1, 3, 3)
    x = channels_last("uint8", (1, 500, 9, 9))
    assert found(w, Depthwise(x, x, (3, 3), (1, 1), (1, 1)).packed(w)).tobytes() == w.tobytes()


def test_what_is_not_there_is_not_found():
    w = weights("int8", 40, 30, 3, 3)
    lies = packed(w, contraction("int8", 40, 30, (3, 3)))
    assert found(w + np.int8(1), lies) is None and found(w.astype(np.int16), lies) is None and find(w, lies[:, :1], 0) is None
    small = w[:4]
    assert small.nbytes < LEAST and find(small, small, 0) is None
