import subprocess
from pathlib import Path

import pytest

from weft.isa import PRESETS
from weft.isa.manual import c_header, manual

ROOT = Path(__file__).parent.parent.parent


def test_the_manual_in_docs_is_the_tables():
    assert (ROOT / "docs" / "isa.md").read_text() == manual(), "run `make docs` and commit docs/isa.md"


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_the_c_header_compiles(config, tmp_path):
    source = tmp_path / "use.cpp"
    (tmp_path / "weft_isa.h").write_text(c_header(config))
    source.write_text('#include "weft_isa.h"\nstatic_assert(WEFT_OPCODE_ALU == 4 && WEFT_GEMM_UOP_BGN_LSB == 8, "");\n'
                      f"static_assert(WEFT_WGT_BYTES == {config.wgt_bytes}, \"\");\n")
    subprocess.run(["g++", "-fsyntax-only", source], check=True)
