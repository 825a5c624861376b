"""Which frontend a model goes to."""

import sys

import pytest

from weft.compiler import frontends
from weft.isa import WeftError


def test_pytorch_is_asked_for_only_by_its_own_files(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "net.pt2").write_bytes(b"")
    with pytest.raises(WeftError) as caught:
        frontends.load(tmp_path / "net.pt2")
    assert str(caught.value) == ("model net.pt2: a program of torch.export needs PyTorch, but found none installed; "
                                 "try: pip install 'weft[torch]'")
