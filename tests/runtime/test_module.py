import dataclasses
import re

import numpy as np
import pytest

from weft.isa import DEFAULT, WeftError
from weft.isa.quantise import QNT_LANE
from weft.runtime.module import FORMAT_VERSION, CpuFunction, Launch, Module, Operator, TensorInfo, from_bytes, to_bytes

MODULE = Module(
    "net", DEFAULT, {"x": TensorInfo((1, 2), "int8", 0.5, -3), "y": TensorInfo((1, 2), "int8")},
    [Operator("f", "requantise", ("x", "q"), ("y",), {"kernel": (1, 2), "scale": np.float32(0.5)}, "accel", macs=7)],
    [Launch((0,), 4096, 2, np.array([0, 0], np.int32))], {"q": np.ones(2, QNT_LANE)}, np.arange(100, dtype=np.uint8), 8192, {"x": 0, "y": 64},
    ["x"], ["y"], {"virtual_threads": 2},
    functions=[CpuFunction((0,), "main_0", ("x",), ("y",), 640, np.arange(5, dtype=np.uint8), np.array([0, 0], np.int32))],
    code={"plain": {"main_0": b"object code", "kernel:1": b"more"}, "avx2": {"main_0": b""}})


def test_round_trip(tmp_path):
    MODULE.save(tmp_path / "net.weft")
    again = Module.load(tmp_path / "net.weft")
    assert (again.name, again.config, again.tensors, again.addresses, again.memory_size) == ("net", DEFAULT, MODULE.tensors, MODULE.addresses, 8192)
    assert again.operators[0].inputs == ("x", "q") and again.operators[0].attrs == {"kernel": (1, 2), "scale": 0.5}
    assert again.launches[0].operators == (0,) and again.launches[0].layers.tolist() == [0, 0]
    assert np.array_equal(again.constants["q"], MODULE.constants["q"]) and np.array_equal(again.image, MODULE.image)
    function = again.functions[0]
    assert (function.operators, function.symbol, function.inputs, function.outputs, function.arena_size) == ((0,), "main_0", ("x",), ("y",), 640)
    assert function.constants.tolist() == [0, 1, 2, 3, 4] and function.layers.tolist() == [0, 0] and again.code == MODULE.code
    assert to_bytes(again) == to_bytes(MODULE)
    assert [p.name for p in tmp_path.iterdir()] == ["net.weft"]


def test_empty_stretches_of_the_image_are_not_stored():
    rng = np.random.default_rng(0)
    image = np.zeros(1_000_001, np.uint8)
    image[5000:9000], image[900_000:] = rng.integers(0, 256, 4000), rng.integers(1, 256, 100_001)
    content = to_bytes(dataclasses.replace(MODULE, image=image))
    assert len(content) < 120_000
    assert np.array_equal(from_bytes(content).image, image)


CONTENT = to_bytes(MODULE)
FLIPPED = bytearray(CONTENT)
FLIPPED[-60] ^= 1


@pytest.mark.parametrize("content, message", [
    (b"PK\3\4rest", "module f: a module begins with the bytes WEFTMOD, but found b'PK\\x03\\x04rest'; try: a file made by `weft compile`"),
    (b"", "module f: a module begins with the bytes WEFTMOD, but found b''; try: a file made by `weft compile`"),
    (CONTENT[:12], "module f: a module holds a header and a checksum, but found 12 bytes; try: compile the model again"),
    (CONTENT[:-1], "module f: a module's checksum must match its content, but found a truncated or altered file; try: compile the model again"),
    (bytes(FLIPPED), "module f: a module's checksum must match its content, but found a truncated or altered file; try: compile the model again"),
    (CONTENT[:8] + bytes([FORMAT_VERSION + 1]) + CONTENT[9:],
     f"module f: this weft reads format version {FORMAT_VERSION}, but found {FORMAT_VERSION + 1}; try: compile the model again with this weft"),
])
def test_files_that_are_refused(content, message):
    with pytest.raises(WeftError, match="^" + re.escape(message) + "$"):
        from_bytes(content, "f")


def test_every_truncation_is_refused():
    for size in range(0, len(CONTENT), 37):
        with pytest.raises(WeftError):
            from_bytes(CONTENT[:size], "f")


def test_a_missing_file():
    with pytest.raises(WeftError, match="^module /no/such: a module file must be readable, but found No such file or directory; try: "):
        Module.load("/no/such")
