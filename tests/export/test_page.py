"""docs/export.md: its program in C builds with the libraries that the page makes, and computes what Python does."""

import re
import subprocess

import numpy as np

import weft
from tests.conftest import ROOT
from tests.export.libraries import STRICT
from weft.export.linker import ZIG
from weft.llvm import machine

PAGE = (ROOT / "docs" / "export.md").read_text()


def test_the_program(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    code, names = re.search(r"```python\n(.*?)```", PAGE, re.S)[1], {}
    exec(code.replace("mkdtemp()", repr(str(tmp_path))), names)
    (tmp_path / "main.c").write_text(re.search(r"```c\n(.*?)```", PAGE, re.S)[1])
    command = re.search(r"^    cc (main\.c .*)$", PAGE, re.M)[1]
    subprocess.run(f"{STRICT} {command}", shell=True, cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout
    expected, _ = names["module"].run(np.zeros((1, 1, 8, 8), np.float32))
    assert printed == f"{expected['logits'][0, 0]:f}\n"


def test_the_table_of_machines():
    rows = re.findall(r"^\| `(\S+)` \|.*\| `(\S+-linux-\S+?)(?: \S+)?` \|$", PAGE, re.M)
    assert {cpu.replace("-", "_"): target for cpu, target in rows} == {cpu: words[0] for cpu, words in ZIG.items()}
    assert set(ZIG) == {form.architecture for form in machine.FORMS.values()}


def test_functions_are_those_of_the_header():
    from tests.export.test_network import tiny
    from weft.export.header import header

    for name in re.findall(r"^\| `NET(_\w+)\(", PAGE, re.M):
        assert f" net{name}(" in header(tiny(), "net").replace("*", " ")
    assert callable(weft.export_library)
