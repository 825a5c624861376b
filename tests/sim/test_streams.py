"""Decoded streams are kept, but not for ever, and not where decoding was refused."""

import numpy as np
import pytest

from weft.isa import WeftError
from weft.sim.streams import KEPT, Streams


def test_the_same_bytes_are_decoded_once():
    made = []
    streams = Streams(lambda stream, option=0: made.append((stream.tolist(), option)) or len(made))
    memory = np.arange(8, dtype=np.uint8)
    assert [streams(memory[:4]), streams(memory[:4].copy()), streams(memory[4:]), streams(memory[:4], 7)] == [1, 1, 2, 3]
    memory[0] = 9
    assert streams(memory[:4]) == 4 and streams(memory[4:]) == 2
    assert made == [([0, 1, 2, 3], 0), ([4, 5, 6, 7], 0), ([0, 1, 2, 3], 7), ([9, 1, 2, 3], 0)]


def test_only_so_many_are_kept():
    made = []
    streams = Streams(lambda stream: made.append(int(stream[0])))
    for k in (*range(KEPT), 0, KEPT, 0):
        streams(np.array([k], np.uint8))
    assert made == [*range(KEPT), KEPT, 0]


def test_what_is_refused_is_refused_again():
    def decode(stream):
        raise WeftError("stream", "rule", "found", "hint")

    streams = Streams(decode)
    for _ in range(2):
        with pytest.raises(WeftError):
            streams(np.zeros(1, np.uint8))
