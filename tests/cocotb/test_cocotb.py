"""One small program in cocotb; `make cocotb` runs whole networks."""

import pytest

from tests.cocotb.run import SMALL, run


@pytest.mark.slow
def test_a_raw_program():
    assert run("default", SMALL, quiet=True) == 0
