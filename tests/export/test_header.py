"""The header of a network: what it says of inputs and outputs."""

import dataclasses

import pytest

from tests.export.test_network import tiny
from weft.export.header import header
from weft.isa import WeftError


def test_the_header_describes_inputs_and_outputs():
    text = header(tiny(), "net")
    assert ("/* input 0: 'x', int32 [10] */\n#define NET_INPUT_0_NAME \"x\"\n#define NET_INPUT_0_TYPE int32_t\n#define NET_INPUT_0_RANK 1\n#define NET_INPUT_0_SHAPE {10}\n#define NET_INPUT_0_SIZE 10 /* elements */\n"
            "#define NET_INPUT_0_BYTES 40\n#define NET_INPUT_0_SCALE 0.5\n#define NET_INPUT_0_ZERO_POINT 3\n") in text
    assert text.startswith("/* The network a * / \"net\", for C. Written by weft. */\n#ifndef NET_H\n")


def test_a_dtype_that_c_has_not():
    module = tiny()
    module.tensors = module.tensors | {"y": dataclasses.replace(module.tensors["y"], dtype="float16")}
    with pytest.raises(WeftError) as caught:
        header(module, "net")
    assert str(caught.value) == ("output 'y': C knows int8, uint8, int16, uint16, int32, uint32, int64, uint64, float32, float64, bool, but found "
                                 "float16; try: another dtype at the network's edge")
