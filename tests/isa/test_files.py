import pytest

from weft.isa.files import write_atomically


def test_a_failed_write_leaves_nothing_and_loses_nothing(tmp_path):
    path = tmp_path / "f"
    write_atomically(path, "old")

    def fail(file):
        file.write(b"half")
        raise RuntimeError("disk")

    with pytest.raises(RuntimeError):
        write_atomically(path, fail)
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["f"]
