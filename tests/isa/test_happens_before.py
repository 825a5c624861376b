from weft.isa.asm import from_text
from weft.isa.happens_before import analyse
from weft.isa.registers import TOKEN_QUEUE_DEPTH, Queue


def stream(text):
    return [from_text(line.replace("nop", "load inp sram=0 dram=0 y=0 x=0 stride=0")) for line in text.splitlines()]


def test_clocks_follow_tokens():
    order = analyse(stream("nop\nnop push_next\nfinish pop_prev"))
    assert order.order == [0, 1, 2] and order.stuck is None
    assert order.clocks.tolist() == [[-1, -1, -1], [0, -1, -1], [1, -1, -1]]


def test_tokens_left_over_from_the_launch_before_are_used():
    tokens = dict.fromkeys(Queue, 0) | {Queue.LOAD_TO_COMPUTE: 1}
    order = analyse(stream("finish pop_prev\nnop"), tokens)
    assert order.stuck is None and order.clocks[0].tolist() == [-1, -1, -1]


def test_a_full_queue_waits():
    order = analyse(stream("\n".join(["nop push_next"] * (TOKEN_QUEUE_DEPTH + 1) + ["finish"])))
    assert order.stuck == (f"load waits for room in a token queue in instruction {TOKEN_QUEUE_DEPTH} (LOAD INP, push_next); "
                           "compute has done all its 1 instructions; store has done all its 0 instructions")
