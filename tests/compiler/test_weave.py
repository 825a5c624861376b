"""Where a thread's operations are cut, and how threads take turns."""

from hypothesis import given
from hypothesis import strategies as st

from weft.compiler.tokens import Operation
from weft.compiler.weave import stretches, weave, weights_first
from weft.isa import Memory, Module, Opcode


def thread(text: str) -> list[Operation]:
    """Operations by letters: L loads, w loads weights, c computes on nothing, G uses loads, A works on acc, S stores."""
    made = []
    for letter in text:
        if letter in "Lw":
            o = Operation(Opcode.LOAD, {"memory_type": Memory.WGT if letter == "w" else Memory.INP}, Module.LOAD, 0)
        elif letter == "S":
            o = Operation(Opcode.STORE, {"memory_type": Memory.OUT}, Module.STORE, 0, (("acc", 0, 1),))
        else:
            reads = {"c": (), "G": (("acc", 0, 1), ("inp", 0, 1)), "A": (("acc", 0, 1), ("qnt", 0, 1))}[letter]
            o = Operation(Opcode.GEMM, {"letter": letter}, Module.COMPUTE, 0, reads, (("acc", 0, 1),))
        made.append(o)
    return made


def letter(o: Operation) -> str:
    if o.module == Module.COMPUTE:
        return o.fields["letter"]
    return "S" if o.module == Module.STORE else "w" if o.fields["memory_type"] == Memory.WGT else "L"


def text(items) -> str:
    return "".join(map(letter, items))


def test_a_stretch_is_what_precedes_loads_sums_and_stores():
    assert list(map(text, stretches(thread("wccLGLGLGASScLGAS")))) == ["wccLG", "LG", "LGASS", "cLGAS"]


def test_without_loads_stores_cut():
    assert list(map(text, stretches(thread("cAASSccAS")))) == ["cAASS", "ccAS"]


def test_threads_take_turns_and_the_longer_one_goes_on_alone():
    a, b = thread("LGLGS"), thread("LGS")
    woven = list(weave([a, b]))
    assert text(woven) == "LGLGSLGS" and [o in a for o in woven] == [True] * 2 + [False] * 3 + [True] * 3


def test_weights_come_first_among_neighbours():
    assert text(weights_first(thread("cLwLwGLwS"))) == "cwwLLGwLS"


@given(st.lists(st.text("LwcGAS", max_size=12), max_size=4))
def test_nothing_is_lost_and_every_thread_keeps_its_order(texts):
    threads = [thread(t) for t in texts]
    woven = list(weave(threads))
    assert len(woven) == sum(map(len, threads))
    for own in threads:
        assert [o for o in woven if o in own] == own
        assert [o for stretch in stretches(own) for o in stretch] == own
