"""Sums of four products of bytes in each int32 lane, as each form of CPU has them."""

from weft.llvm.machine import Form
from weft.llvm.values import I8, I16, I32, Value, declared, vector


def dot4(form: Form, total: Value, unsigned: Value, signed: Value) -> Value:
    """total + the sum of the four products of uint8 and int8 in each lane; all three are int32 lanes, bytes by bit pattern."""
    b, lanes = total.builder, total.lanes
    if form.dot == "vpdpbusd" and lanes in (4, 8, 16):
        kind = vector(I8, 4 * lanes)
        function = declared(b.module, f"llvm.x86.avx512.vpdpbusd.{32 * lanes}", total.type, total.type, kind, kind)
        return Value(b, b.call(function, [total.ir, unsigned.bitcast(kind).ir, signed.bitcast(kind).ir]))
    narrow = vector(I8, 4 * lanes)  # LLVM knows what follows as the multiply-add of pairs, where the form has one
    products = unsigned.bitcast(narrow).zext(I16).sext(I32) * signed.bitcast(narrow).sext(I16).sext(I32)
    pairs = _even(products) + _odd(products)
    return total + (_even(pairs) + _odd(pairs))


def dot2(form: Form, total: Value, unsigned: Value, signed: Value) -> Value | None:
    """total + unsigned * signed in each lane, factors int32 from 0 to 255 and from -128 to 127; None where no instruction does it."""
    if form.dot != "vpdpbusd" or total.lanes != 16:
        return None
    b, kind = total.builder, vector(I16, 2 * total.lanes)  # the upper half of each unsigned factor is 0
    function = declared(b.module, "llvm.x86.avx512.vpdpwssd.512", total.type, total.type, kind, kind)
    return Value(b, b.call(function, [total.ir, unsigned.bitcast(kind).ir, signed.bitcast(kind).ir]))


def _even(x: Value) -> Value:
    return x.shuffle(list(range(0, x.lanes, 2)))


def _odd(x: Value) -> Value:
    return x.shuffle(list(range(1, x.lanes, 2)))
