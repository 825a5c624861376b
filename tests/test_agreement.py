"""`make agreement` compares what it says, finds a difference, and goes on where it was; a slice of what it runs."""

import dataclasses

import pytest

from tests import agreement
from tests.agreement import KINDS, LATENCIES, Piece, compare, key, pieces, run, table
from weft.bench import networks
from weft.isa import DEFAULT, PRESETS

FEW = 6


def test_everything_named_is_compared():
    found = list(pieces())
    assert {piece.kind for piece in found} == set(KINDS) and {piece.config.bus_bits for piece in found} == {64, 128}
    for bits in (64, 128):
        own = [piece for piece in found if piece.config.bus_bits == bits]
        assert [piece.name for piece in own if piece.kind == "networks"] == list(networks.NETWORKS)
        assert sum(len(list(piece.make())) for piece in own if piece.kind == "vectors") == 90
        seeds = [range(*map(int, piece.name.split("seeds ")[1].split(" to "))) for piece in own
                 if piece.kind == "random" and piece.name.startswith("default")]
        assert [piece.stop for piece in seeds] == [piece.start + 499 for piece in seeds] and seeds[-1].stop == 9_999
    assert LATENCIES == (0, 16, 64)


def test_a_slice_agrees_and_is_not_run_again(tmp_path, monkeypatch):
    file, told = tmp_path / "results.jsonl", []
    few = lambda: pieces(["random"], FEW, [64])
    first = run(few(), LATENCIES, file, told.append)
    assert [row.differ for row in first] == [()] and first[0].runs == FEW * 3 and first[0].instructions > 3 * 30 * FEW
    assert told[0].startswith(f"random default, seeds 0 to {FEW - 1}, 64 bits: {FEW * 3} runs, {first[0].instructions:,} instructions, 0 differ")
    monkeypatch.setattr(agreement, "compare", None)
    assert run(few(), LATENCIES, file) == first
    with pytest.raises(TypeError):
        run(few(), (1,), file)


def test_another_machine_is_another_key(monkeypatch):
    piece = next(pieces(["random"], FEW, [64]))
    before = key(piece, (16,))
    assert key(piece, (16,)) == before != key(piece, (0,))
    monkeypatch.setattr(agreement, "_machine", lambda: "another")
    assert key(piece, (16,)) != before


def test_what_differs_is_named_and_run_again(tmp_path, monkeypatch):
    """The second device has another latency."""
    opened, made = agreement.open_device, []

    def open_device(name, config, size, latency):
        made.append(name)
        return opened("timing", config, size, latency=latency + (name == "rtl"))

    monkeypatch.setattr(agreement, "open_device", open_device)
    piece = Piece("random", "one", DEFAULT, lambda: [agreement.random_program(DEFAULT, 0)], lambda: "one")
    result = compare(piece, (16,))
    assert made == ["timing", "rtl"] and len(result.differ) == 1
    assert result.differ[0].startswith("random_0 at latency 16: ") and "start in another cycle" in result.differ[0]
    file = tmp_path / "results.jsonl"
    assert run([piece], (16,), file)[0].differ == result.differ and run([piece], (16,), file)[0].differ == result.differ
    assert made == 3 * ["timing", "rtl"]
    assert [cell for column in table([result]).columns for cell in column.cells][-1] == "1"


def test_wide_machines_are_of_the_width():
    for bits in (64, 128):
        assert {dataclasses.replace(piece.config, name="", bus_bits=64) for piece in pieces(["vectors"], 0, [bits])} == {
            dataclasses.replace(preset, name="", bus_bits=64) for preset in PRESETS.values()}
