import dataclasses

import numpy as np
import pytest

from tests.runtime.test_module import MODULE
from weft.runtime.agreement import TOLERANCE, agree, compare, difference, has_real_numbers
from weft.runtime.module import Operator
from weft.runtime.report import RunReport

REAL = dataclasses.replace(MODULE, operators=[Operator("s", "Softmax", ("x",), ("y",), {}, "cpu")])
HOST = dataclasses.replace(MODULE, operators=[Operator("s", "Softmax", ("x",), ("y",), {}, "host"),
                                              Operator("c", "conv2d", ("x",), ("y",), {}, "cpu")])


def test_operators_on_real_numbers():
    assert has_real_numbers(REAL) and not has_real_numbers(HOST)


def test_difference_is_a_part_of_the_largest():
    expected = np.array([1.0, -4.0, 0.0], np.float32)
    assert difference(expected, expected) == 0
    assert difference(expected + np.float32(0.5), expected) == pytest.approx(0.125)
    assert difference(np.zeros(2), np.zeros(2)) == 0 and difference(np.ones(2), np.zeros(2)) == np.inf
    assert difference(np.zeros(0), np.zeros(0)) == 0


@pytest.mark.parametrize("found, expected, apart", [
    ([np.nan, 1], [np.nan, 1], 0), ([np.inf, 1], [np.inf, 1], 0), ([-np.inf, 1], [np.inf, 1], np.inf), ([1, 1], [np.nan, 1], np.inf),
    ([np.nan, 1], [2, 1], np.nan), ([np.inf, 1], [2, 1], np.inf)])
def test_values_that_are_not_finite(found, expected, apart):
    result = difference(np.array(found, np.float32), np.array(expected, np.float32))
    assert result == apart or np.isnan(apart) and np.isnan(result)
    assert agree(np.array(found, np.float32), np.array(expected, np.float32)) == (apart == 0)


@pytest.mark.parametrize("module, found, bit_exact, agrees", [
    (REAL, np.int8([3, 4]), True, True), (REAL, np.int8([2, 4]), False, True), (REAL, np.int8([1, 4]), False, False),
    (HOST, np.int8([3, 4]), True, True), (HOST, np.int8([2, 4]), False, False)])
def test_integers_are_equal_unless_real_numbers_led_to_them(module, found, bit_exact, agrees):
    report = RunReport("cpu", "default", [], 0)
    compare(report, module, {"y": found}, {"y": np.int8([3, 4])})
    assert (report.bit_exact, report.agrees, report.difference) == (bit_exact, agrees, None)


@pytest.mark.parametrize("apart, agrees", [(TOLERANCE / 2, True), (2 * TOLERANCE, False)])
def test_real_numbers_are_near(apart, agrees):
    report, expected = RunReport("cpu", "default", [], 0), np.array([10.0, 1.0])
    compare(report, REAL, {"y": expected + 10 * apart}, {"y": expected})
    assert (report.bit_exact, report.agrees) == (False, agrees) and report.difference == pytest.approx(apart)
