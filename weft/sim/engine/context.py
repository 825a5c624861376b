"""What the kernels of one engine share while they are written: the machine, the form of its products, fields and state."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from llvmlite import ir

from weft.isa import Config
from weft.isa.table import micro_op_layout
from weft.llvm.values import I1, I8, I32, I64, POINTER, Pointer, Value, Variable, constant, declared, loop

from .forms import Form
from .records import columns, signed_fields
from .state import COUNTERS, WORDS, Sizes

KERNEL = ir.FunctionType(I32, [POINTER, POINTER])  # (state, record) -> 0, or 1 where the instruction cannot run


@dataclass
class Context:
    """A function that is being written, of a module for a config and a form."""

    config: Config
    form: Form
    module: ir.Module
    function: ir.Function
    builder: ir.IRBuilder

    @classmethod
    def begin(cls, config: Config, form: Form, module: ir.Module, name: str, kind: ir.FunctionType,
              exported: bool = False) -> "Context":
        """A new function, which only this module sees unless `exported`."""
        function = ir.Function(module, kind, name)
        if not exported:
            function.linkage = "internal"
            function.attributes.add("noinline")  # none is small, and apart they are optimised in a third of the time
        return cls(config, form, module, function, ir.IRBuilder(function.append_basic_block("entry")))

    @property
    def sizes(self) -> Sizes:
        return Sizes.of(self.config, self.form)

    def pointer(self, argument: int) -> Pointer:
        return Pointer(self.builder, self.function.args[argument])

    def value(self, argument: int) -> Value:
        return Value(self.builder, self.function.args[argument])

    def number(self, value: int) -> Value:
        return constant(self.builder, I64, value)

    def fill(self, place: Pointer, byte, size: Value):
        """`size` bytes."""
        byte = byte.trunc(I8).ir if isinstance(byte, Value) else I8(byte)
        function = declared(self.module, "llvm.memset.p0.i64", ir.VoidType(), POINTER, I8, I64, I1)
        self.builder.call(function, [place.ir, byte, size.ir, I1(0)])

    def copy(self, target: Pointer, source: Pointer, size: Value):
        """`size` bytes that do not overlap."""
        function = declared(self.module, "llvm.memcpy.p0.p0.i64", ir.VoidType(), POINTER, POINTER, I64, I1)
        self.builder.call(function, [target.ir, source.ir, size.ir, I1(0)])

    # The state, argument 0 of every function

    def word(self, name: str) -> Value:
        return (self.pointer(0) + 8 * WORDS.index(name)).load(I64, 8)

    def set_word(self, name: str, value: Value):
        (self.pointer(0) + 8 * WORDS.index(name)).store(value, 8)

    def array(self, name: str) -> Pointer:
        return (self.pointer(0) + 8 * WORDS.index(name)).load_pointer()

    def count(self, counter: str, amount: Value):
        place = self.array("counters") + 8 * COUNTERS.index(counter)
        place.store(place.load(I64, 8) + amount, 8)

    def element(self, memory: str, index: Value) -> Pointer:
        """Where an element of a scratchpad stands."""
        return self.array(memory) + index * getattr(self.config, f"{memory}_bytes")

    # The record, argument 1 of a kernel

    def field(self, name: str) -> Value:
        """A field of the instruction as i64."""
        raw = (self.pointer(1) + 4 * columns()[name]).load(I32, 4)
        return raw.sext(I64) if name in signed_fields() else raw.zext(I64)

    # Leaving

    def refuse_unless(self, condition: Value):
        """Returns 1: the NumPy device then says why."""
        self.leave_if(condition ^ 1, 1)

    def leave_if(self, condition: Value, result: int):
        with self.builder.if_then(condition.ir, likely=False):
            self.builder.ret(I32(result))

    def done(self):
        self.builder.ret(I32(0))


class Nest:
    """The loops of GEMM, ALU and DEPTHWISE: their fields, and the micro-ops."""

    def __init__(self, context: Context):
        self.context = c = context
        self.bgn, self.end = c.field("uop_bgn"), c.field("uop_end")
        self.trips = {loop: c.field(f"iter_{loop}") for loop in ("out", "in")}
        last = (self.end - 1).maximum(self.bgn)
        c.refuse_unless(last < c.config.uop_depth)
        self.uops = self.end - self.bgn
        c.leave_if((self.uops <= 0) | self.trips["out"].equals(0) | self.trips["in"].equals(0), 0)
        self.steps = self.uops * self.trips["out"] * self.trips["in"]
        self.factors = {(kind, name): c.field(f"{kind}_factor_{name}")
                        for kind in ("dst", "src", "wgt") for name in ("out", "in")}
        self.first = c.element("uop", self.bgn)

    def micro_op(self, k: Value) -> dict[str, Value]:
        """dst, src and wgt of the k-th micro-op."""
        word = (self.first + k * 4).load(I32, 4).zext(I64)
        fields = micro_op_layout(self.context.config).fields
        return {name: word.logical_right(field.offset) & (1 << field.width) - 1 for name, field in fields.items()}

    def largest(self) -> dict[str, Value]:
        """The highest dst, src and wgt of all steps: they only grow along the loops."""
        b = self.context.builder
        most = {kind: Variable(b, self.context.number(0)) for kind in ("dst", "src", "wgt")}
        with loop(b, self.uops) as k:
            for kind, value in self.micro_op(k).items():
                most[kind].set(most[kind].get().maximum(value))
        last = [self.trips[name] - 1 for name in ("out", "in")]
        return {kind: m.get() + self.offset(kind, *last) for kind, m in most.items()}

    def keeps_to_a_half(self, most: dict[str, Value], *kinds: str) -> Value:
        """Whether the steps touch one half of ACC only, where the instruction promises it. kinds: what of a micro-op is an element of ACC."""
        b, half = self.context.builder, self.context.config.acc_depth // 2
        fewest, largest = Variable(b, most["dst"]), most["dst"]
        with loop(b, self.uops) as k:
            for kind in kinds:
                fewest.set(fewest.get().minimum(self.micro_op(k)[kind]))
        for kind in kinds:
            largest = largest.maximum(most[kind])
        return self.context.field("half").equals(0) | (fewest.get() >= half) | (largest < half)

    @contextmanager
    def turns(self, name: str) -> Iterator[Value]:
        """The block runs for each turn of the loop 'out' or 'in'."""
        with loop(self.context.builder, self.trips[name]) as turn:
            yield turn

    def offset(self, kind: str, out: Value, in_: Value) -> Value:
        """What the loops add to a micro-op's dst, src or wgt in these turns."""
        return self.factors[kind, "out"] * out + self.factors[kind, "in"] * in_
