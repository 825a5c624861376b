"""Packed constants come back as they were."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.random_networks import random_network
from weft.compiler import memory, pipeline
from weft.isa import DEFAULT, PRESETS
from weft.isa.quantise import QNT_LANE
from weft.runtime.module import from_bytes, to_bytes
from weft.runtime.unpack import can_unpack, unpack_constant

SIZE = st.integers(1, 40)
SHAPES = {"weight": st.one_of(st.tuples(SIZE, SIZE), st.tuples(SIZE, SIZE, st.integers(1, 4), st.integers(1, 4))),
          "depthwise": st.tuples(SIZE, st.just(1), st.integers(1, 7), st.integers(1, 7)), "qnt": st.tuples(SIZE), "table": st.just((256,))}


@given(st.data())
@pytest.mark.parametrize("role", SHAPES)
@pytest.mark.parametrize("config", [DEFAULT, PRESETS["1x8x8"]], ids=lambda c: c.name)
def test_unpacking_inverts_packing(role, config, data):
    shape, rng = data.draw(SHAPES[role]), np.random.default_rng(0)
    dtype = QNT_LANE if role == "qnt" else np.dtype(np.int8)
    size = int(np.prod(shape)) * dtype.itemsize
    constant = rng.integers(0, 256, size).astype(np.uint8).view(dtype).reshape(shape)
    packed = np.ascontiguousarray(memory.LAYOUTS[role].pack(constant, config)).reshape(-1).view(np.uint8)
    image = np.concatenate([np.zeros(4096, np.uint8), packed, np.ones(7, np.uint8)])
    found = unpack_constant(role, image, 4096, shape, config)
    assert found.dtype == dtype and found.shape == shape and found.tobytes() == constant.tobytes()


def test_what_cannot_be_unpacked_is_stored():
    assert can_unpack("weight", np.zeros((2, 2), np.int8)) and can_unpack("qnt", np.zeros(2, QNT_LANE))
    assert not can_unpack("activation", np.zeros((2, 2), np.int8)) and not can_unpack("weight", np.zeros((2, 2), np.uint8))


def test_a_modules_file_holds_constants_once():
    module = pipeline.build(random_network(3), DEFAULT)
    content = to_bytes(module)
    again = from_bytes(content)
    assert module.packed and all(np.array_equal(again.constants[name], constant) for name, constant in module.constants.items())
    assert to_bytes(again) == content and len(content) < module.image.nbytes + 20_000
    name = next(name for name, role in module.packed.items() if role == "weight")
    module.constants[name] = module.constants[name] + np.int8(1)  # no longer what the image holds
    assert np.array_equal(from_bytes(to_bytes(module)).constants[name], module.constants[name])
