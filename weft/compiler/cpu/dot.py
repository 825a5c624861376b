"""Sums of products of bytes in each int32 lane, as each form of CPU has them."""

from functools import reduce

from weft.llvm.machine import Form
from weft.llvm.values import I8, I16, I32, Value, declared, vector


def dot4(form: Form, total: Value, unsigned: Value, signed: Value) -> Value:
    """total + the sum of the four products of uint8 and int8 in each lane; all three are int32 lanes, bytes by bit
    pattern."""
    b, lanes = total.builder, total.lanes
    if form.dot == "vpdpbusd" and lanes in (4, 8, 16):
        kind = vector(I8, 4 * lanes)
        function = declared(b.module, f"llvm.x86.avx512.vpdpbusd.{32 * lanes}", total.type, total.type, kind, kind)
        return Value(b, b.call(function, [total.ir, unsigned.bitcast(kind).ir, signed.bitcast(kind).ir]))
    if form.dot == "pmaddwd" and lanes in (size := form.vector_bits // 32, 2 * size, 4 * size):
        return _by_pairs(form, total, unsigned, signed)
    narrow = vector(I8, 4 * lanes)
    products = unsigned.bitcast(narrow).zext(I16) * signed.bitcast(narrow).sext(I16)  # 16 bits hold 255 * 128
    pairs = _even(products).sext(I32) + _odd(products).sext(I32)
    return total + (_even(pairs) + _odd(pairs))


def _by_pairs(form: Form, total: Value, unsigned: Value, signed: Value) -> Value:
    """The even bytes of each lane as one pair of 16 bits, the odd ones as another: each pair's products are one
    instruction."""
    size = form.vector_bits // 32
    halves = vector(I16, 2 * total.lanes)
    u, s = unsigned.bitcast(halves), signed.bitcast(halves)
    sums = []
    for at in range(0, total.lanes, size):
        pairs = [(u & 255, (s << 8) >> 8), (u.logical_right(8), s >> 8)]
        products = (_multiply_add(form, *(x.shuffle(list(range(2 * at, 2 * (at + size)))) for x in pair)) for pair in pairs)
        part = total.shuffle(list(range(at, at + size)))
        sums.append(reduce(Value.__add__, products, part))
    while len(sums) > 1:
        sums = [a.joined(b) for a, b in zip(sums[::2], sums[1::2])]
    return sums[0]


def _multiply_add(form: Form, a: Value, b: Value) -> Value:
    name = "llvm.x86.avx2.pmadd.wd" if form.vector_bits == 256 else "llvm.x86.sse2.pmadd.wd"
    function = declared(a.builder.module, name, vector(I32, a.lanes // 2), a.type, a.type)
    return Value(a.builder, a.builder.call(function, [a.ir, b.ir]))


def dot2(form: Form, total: Value, unsigned: Value, signed: Value) -> Value | None:
    """total + unsigned * signed in each lane, factors int32 from 0 to 255 and from -128 to 127; None where no instruction
    does it."""
    if form.dot != "vpdpbusd" or total.lanes != 16:
        return None
    b, kind = total.builder, vector(I16, 2 * total.lanes)  # the upper half of each unsigned factor is 0
    function = declared(b.module, "llvm.x86.avx512.vpdpwssd.512", total.type, total.type, kind, kind)
    return Value(b, b.call(function, [total.ir, unsigned.bitcast(kind).ir, signed.bitcast(kind).ir]))


def _even(x: Value) -> Value:
    return x.shuffle(list(range(0, x.lanes, 2)))


def _odd(x: Value) -> Value:
    return x.shuffle(list(range(1, x.lanes, 2)))
