"""TFLite's operators that move values, against NumPy in TFLite's own layout, and where they run."""

import numpy as np
import pytest
import tflite

from weft.compiler import pipeline
from weft.compiler.frontends import tflite as frontend
from weft.isa import DEFAULT, WeftError

from .flatbuffer import Op, T, build

SHAPE = (1, 6, 5, 32)
IMAGE = np.random.default_rng(0).integers(-128, 128, SHAPE).astype(np.int8)


def stored(name: str, shape) -> T:
    return T(name, tuple(shape), "int8", 0.1, 5)


def whole(name: str, values) -> T:
    return T(name, np.shape(values), "int32", data=np.int32(values))


def run(tensors, operators, outputs, image=IMAGE) -> tuple[list[np.ndarray], set[str]]:
    """What the accelerator makes of the first tensor, and the operators that the host keeps."""
    module = pipeline.compile(frontend.load(build(tensors, operators, [0], outputs), "m"), DEFAULT)
    made, report = module.run(image)
    assert report.bit_exact
    return [made[name] for name in module.outputs], {o.op for o in module.operators if o.where in ("cpu", "host")}


@pytest.mark.parametrize("kind, sizes, axis", [("SPLIT", (16, 16), 3), ("SPLIT_V", (16, 9, 7), -1), ("SPLIT_V", (2, 4), 1)])
def test_split(kind, sizes, axis):
    parts = [stored(f"part{i}", (*SHAPE[:axis % 4], n, *SHAPE[axis % 4 + 1:])) for i, n in enumerate(sizes)]
    count = len(parts)
    given = [whole("axis", axis)] if kind == "SPLIT" else [whole("sizes", sizes), whole("axis", axis)]
    places = [count + 1, 0] if kind == "SPLIT" else [0, count + 1, count + 2]
    operator = Op(kind, places, list(range(1, count + 1)))
    made, host = run([stored("x", SHAPE), *parts, *given], [operator], list(range(1, count + 1)))
    for found, expected in zip(made, np.split(IMAGE, np.cumsum(sizes)[:-1], axis), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert host <= {"transpose"}


@pytest.mark.parametrize("mode", ["reflect", "symmetric"])
def test_mirrored_borders_are_on_the_host(mode):
    widths = [[0, 0], [1, 2], [3, 0], [0, 0]]
    tensors = [stored("x", SHAPE), whole("widths", widths), stored("y", (1, 9, 8, 32))]
    options = ("MirrorPadOptions", {"Mode": getattr(tflite.MirrorPadMode, mode.upper())})
    (found,), host = run(tensors, [Op("MIRROR_PAD", [0, 1], [2], options)], [2])
    np.testing.assert_array_equal(found, np.pad(IMAGE, widths, mode))
    assert "Gather" in host


def test_refuses_a_mirror_that_is_too_small():
    tensors = [stored("x", SHAPE), whole("widths", [[0, 0], [6, 0], [0, 0], [0, 0]]), stored("y", (1, 12, 5, 32))]
    options = ("MirrorPadOptions", {"Mode": tflite.MirrorPadMode.REFLECT})
    with pytest.raises(WeftError) as caught:
        frontend.load(build(tensors, [Op("MIRROR_PAD", [0, 1], [2], options)], [0], [2]), "m")
    assert str(caught.value) == ("node 'y' (MIRROR_PAD): no more may be added than there is to mirror, but found [6, 0]; "
                                 "try: to convert the model again")


def test_pack_and_unpack():
    """The rows of an image, in another order."""
    rows = [stored(f"row{i}", (1, 5, 32)) for i in range(6)]
    tensors = [stored("x", SHAPE), *rows, stored("y", (1, 5, 6, 32))]
    operators = [Op("UNPACK", [0], [1, 2, 3, 4, 5, 6], ("UnpackOptions", {"Axis": 1, "Num": 6})),
                 Op("PACK", [6, 1, 5, 2, 4, 3], [7], ("PackOptions", {"Axis": -2, "ValuesCount": 6}))]
    (found,), _ = run(tensors, operators, [7])
    np.testing.assert_array_equal(found, np.stack([IMAGE[:, i] for i in (5, 0, 4, 1, 3, 2)], -2))


def test_squeezed_and_expanded():
    tensors = [stored("x", (1, 1, 1, 32)), stored("flat", (1, 32)), whole("axis", 1), stored("y", (1, 1, 32))]
    operators = [Op("SQUEEZE", [0], [1], ("SqueezeOptions", {})), Op("EXPAND_DIMS", [1, 2], [3])]
    (found,), _ = run(tensors, operators, [3], IMAGE[:, :1, :1])
    np.testing.assert_array_equal(found, IMAGE[:, 0, :1])
