"""The engine of ALU and of GEMM with reset, with QNT and LUT.

    issue    the loops give a micro-op's address
    uop      the micro-op is there
    index    the loops' offsets are added
    check    its indices are compared with those of the steps before it
    weigh    it is found out whether it must wait for one of them
    read     ACC and QNT are read; the step waits here if it must, and those behind it stand still
    got      their words are there
    fetched  the elements are, or what is on its way to ACC
    operate  min, max, add; the others begin
    long_1.. requantisation, shifts and products go on, or a table is looked up
    write    the result goes to ACC

An operation of one cycle may use what the one before it has made (fresh.py). The others (`long` steps) write later: another
step waits while a long one would write after it, or too late for what it reads.
"""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import ALU_BY_NAME, Memory

from .acc import in_halves
from .alu import SLOW, AluLane
from .blocks import write_signature
from .extend import sign_extended
from .fresh import Fresh, again
from .in_flight import DONE
from .layouts import micro_op
from .loops import Loops, index_layout
from .parameters import Parameters
from .requant import FIELDS, LATENCY, LongLane, register
from .steps import ALU_STEP, ENTRY_BITS, HEAD
from .tables import Tables

LONG_STAGES = ("operate", *(f"long_{stage}" for stage in range(1, LATENCY)))  # those that requantisation works in
STAGES = ("got", "fetched", *LONG_STAGES, "write")  # behind `read`; a short step goes from `operate` to `write`
FIRST = 3  # stages from `read` to the first of LONG_STAGES


class Elementwise(wiring.Component):
    """Members: as of Multiply, but that it fills QNT and LUT from `own_write`, whose kinds are indices into `memories`, and
    reads two elements of ACC, `dst` and `src`."""

    def __init__(self, config, memories):
        self.config, self.memories = config, memories
        acc, data = exact_log2(config.acc_depth), config.acc_bits
        self.lanes = lanes = config.batch * config.block_out
        super().__init__({
            "begin": In(1), "word": In(128), "head": In(HEAD), "index": In(ENTRY_BITS), "ready": Out(1), "issuing": Out(1),
            "first_uop": Out(exact_log2(config.uop_depth) + 1), "last_uop": Out(exact_log2(config.uop_depth) + 1),
            "uop_address": Out(exact_log2(config.uop_depth)), "uop_enable": Out(1), "uop": In(32),
            "own_write": In(write_signature(config)), "dst_address": Out(acc), "dst_halves": Out(2), "src_address": Out(acc),
            "src_halves": Out(2), **{f"{port}_{half}": In(data).array(lanes) for port in ("dst", "src")
                                     for half in ("lower", "upper")},
            "write_address": Out(acc), "write_enable": Out(1), "write_halves": Out(2), "write_data": Out(data).array(lanes),
            "done": Out(DONE), "stepped": Out(1), "strays": Out(1)})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.loops = loops = Loops(config, windowed=False)
        issue, current, stall = Signal(ALU_STEP), Signal(ALU_STEP, reset_less=True), Signal()
        m.d.comb += [self.ready.eq(~self.issuing | loops.last & ~stall), loops.begin.eq(self.begin),
                     loops.word.eq(self.word), loops.advance.eq(self.issuing & ~stall),
                     self.uop_address.eq(loops.uop), self.uop_enable.eq(self.issuing & ~stall),
                     self.first_uop.eq(loops.first), self.last_uop.eq(loops.after),
                     issue.eq(current), issue.valid.eq(self.issuing), issue.last.eq(self.issuing & loops.last),
                     issue.reads_dst.eq(self.issuing & current.reads_dst),
                     issue.reads_src.eq(self.issuing & current.reads_src),
                     issue.long.eq(self.issuing & current.long)]  # what is not there must not be waited for
        with m.If(self.issuing & loops.last & ~stall):
            m.d.sync += self.issuing.eq(0)
        with m.If(self.begin):
            m.d.sync += [self.issuing.eq(1), current.index.eq(self.index), current.reads_dst.eq(~self.head.clear),
                         current.reads_src.eq(~self.head.clear & ~self.head.use_imm & (~self.head.long | self.head.slow))]
            m.d.sync += [getattr(current, name).eq(getattr(self.head, name)) for name in
                         ("confined", "upper", "clear", "long", "lut", "slow", "op", "use_imm", "imm")]

        early = {name: Signal(ALU_STEP, name=f"{name}_step") for name in ("uop", "index", "check", "weigh", "read")}
        offsets, given, found, weighed, indices = (Signal(index_layout(config), name=name, reset_less=True)
                                                   for name in ("offsets", "given", "found", "weighed", "indices"))
        uop = Signal(micro_op(config), name="micro_op", reset_less=True)
        with m.If(~stall):
            m.d.sync += [after.eq(before) for before, after in zip([issue, *early.values()], early.values())]
            m.d.sync += [uop.eq(self.uop), given.eq(loops.offsets), offsets.eq(given), weighed.eq(found),
                         indices.eq(weighed)]
            m.d.sync += [getattr(found, name).eq(getattr(uop, name) + getattr(offsets, name)) for name in ("dst", "src")]
            m.d.sync += [getattr(self, f"{name}_halves").eq(in_halves(getattr(early["weigh"], f"reads_{name}"),
                                                                      getattr(weighed, name)[:len(self.dst_address)]))
                         for name in ("dst", "src")]
        read = early["read"]
        step = {name: Signal(ALU_STEP, name=f"{name}_step") for name in STAGES}
        dst = {name: Signal(exact_log2(config.acc_depth), name=f"{name}_dst", reset_less=True) for name in STAGES}
        m.d.sync += [step["got"].eq(Mux(stall, 0, read)), dst["got"].eq(indices.dst)]
        for before, after in zip(STAGES[:-2], STAGES[1:-1]):
            m.d.sync += [step[after].eq(step[before]), dst[after].eq(dst[before])]
        with m.If(~step["operate"].long):  # only long steps go on
            m.d.sync += step["long_1"].eq(0)
        last = LONG_STAGES[-1]
        writes, written = Signal(ALU_STEP, name="writes"), Signal.like(dst["write"], name="written_dst")
        m.d.comb += [writes.eq(Mux(step[last].valid, step[last], Mux(step["operate"].long, 0, step["operate"]))),
                     written.eq(Mux(step[last].valid, dst[last], dst["operate"]))]
        m.d.sync += [step["write"].eq(writes), dst["write"].eq(written),
                     self.write_halves.eq(in_halves(writes.valid, written))]
        ahead = [(early["weigh"], weighed.dst), (read, indices.dst), *((step[name], dst[name]) for name in STAGES[:-1])]
        m.d.comb += stall.eq(self._waits(m, early, found, ahead, stall))
        self._read(m, read, indices)
        self._lanes(m, read, indices, stall, step, dst)
        done = step["write"]
        m.d.comb += [self.done.valid.eq(done.last), self.done.index.eq(done.index),
                     self.stepped.eq(done.valid & ~done.clear),
                     self.write_enable.eq(done.valid), self.write_address.eq(dst["write"])]
        return m

    def _waits(self, m, early, found, ahead, stall):
        """Whether the step in `read` waits: a register, for everything hangs on it. ahead: [(step, dst)] of the stages
        `weigh`, `read` and so on to the last that goes to `write`.

        Long steps go on by a stage a cycle, whoever waits. So it is enough to know of a step in which stages before it there
        are some that write what it uses, and then that it must wait for: a bit each, which moves along with them."""
        check, weigh = early["check"], early["weigh"]
        # of `weigh`
        same_dst, same_src = (Signal(len(ahead), name=f"same_{name}", reset_less=True) for name in ("dst", "src"))
        waits, waiting, must = Signal(len(ahead) - 1), Signal(), Signal(len(ahead) - 1)
        with m.If(stall):  # what is in `read` stays there
            m.d.sync += [same.eq(Cat(same[0], 0, same[1:-1])) for same in (same_dst, same_src)]
            m.d.sync += [waits.eq(waits << 1), waiting.eq(waits[:-1].any())]
        with m.Else():
            with m.If(check.long):
                m.d.sync += same_dst.eq(Cat(dst == found.dst for _, dst in ahead))
                m.d.sync += same_src.eq(Cat(check.slow & ~check.use_imm & (dst == found.src[:len(dst)]) for _, dst in ahead))
            m.d.sync += [waits.eq(must), waiting.eq(must.any())]
        with m.If(weigh.valid):
            m.d.comb += must.eq(Cat(step.long & (~weigh.long | same_dst[n] | same_src[n])
                                    for n, (step, _) in enumerate(ahead[1:])))
        return waiting

    def _read(self, m, read, indices):
        """Reads ACC, also while the step waits: the last time is what counts."""
        strays = Signal()
        m.d.comb += [
            self.dst_address.eq(indices.dst), self.src_address.eq(indices.src), self.strays.eq(strays)]
        m.d.sync += strays.eq(read.confined & (read.valid & (indices.dst[-1] != read.upper)
                                               | read.reads_src & (self.src_address[-1] != read.upper)))

    def _operands(self, m, read, step, dst, stall, results, written):
        """What `dst` and `src` are in ACC, or what is given as the latter, for `operate`."""
        ahead = [(step[name], dst[name]) for name in ("got", "fetched", "operate", "write")]
        fetched, operands = step["fetched"], []
        for port in ("dst", "src"):
            m.submodules[port] = fresh = Fresh(self.config, self.lanes)
            address = getattr(self, f"{port}_address")
            m.d.comb += [fresh.enable.eq(getattr(read, f"reads_{port}") & ~stall), fresh.upper.eq(address[-1]),
                         fresh.again.eq(again(address, ahead))]
            for mine, its in ((fresh.lower_data, getattr(self, f"{port}_lower")),
                              (fresh.upper_data, getattr(self, f"{port}_upper")),
                              (fresh.result, results), (fresh.written, written)):
                m.d.comb += [word.eq(value) for word, value in zip(mine, its)]
            if port == "src":
                m.d.comb += [fresh.nothing.eq(fetched.use_imm),
                             fresh.instead.eq(sign_extended(fetched.imm, self.config.acc_bits))]
            operands.append([Mux(fresh.nearest, result, value) for result, value in zip(results, fresh.data)])
        return operands

    def _lanes(self, m, read, indices, stall, step, dst):
        """The operations of every lane, and what is written: of all that could be, there is one, and the others are 0."""
        config, fetched = self.config, step["fetched"]
        m.submodules.tables = tables = Tables(config, self.memories.index(Memory.LUT))
        m.submodules.parameters = parameters = Parameters(config, self.memories.index(Memory.QNT))
        results, written = ([register(f"{name}_{lane}", config.acc_bits) for lane in range(self.lanes)]
                            for name in ("result", "written"))
        goes_on = read.long & ~stall
        looks_up, slows, requants = (self._stages(m, name, goes_on & which) for name, which in
                                     (("lut", read.lut), ("slow", read.slow), ("requant", ~read.lut & ~read.slow)))
        long = self._stages(m, "long_but_lut", goes_on & ~read.lut)
        # of `operate`, and a slow one of the stage behind
        is_op = {name: Signal(name=f"is_{name}") for name in ("add", "max", *SLOW)}
        m.d.sync += [bit.eq(slows[FIRST] & (step["operate"].op == ALU_BY_NAME[name].code) if name in SLOW else
                            fetched.op == ALU_BY_NAME[name].code) for name, bit in is_op.items()]
        computes = Signal()  # in `operate`: a short step that does not clear
        m.d.sync += computes.eq(fetched.valid & ~fetched.long & ~fetched.clear)
        m.d.comb += [parameters.index.eq(indices.src), parameters.enables.eq(requants), parameters.none.eq(slows[FIRST])]
        wiring.connect(m, wiring.flipped(self.own_write), parameters.write)
        changed, other = self._operands(m, read, step, dst, stall, results, written)
        self._tables(m, tables, indices, looks_up, changed)
        for lane, (x, y) in enumerate(zip(changed, other)):
            m.submodules[f"alu_{lane}"] = short = AluLane()
            m.submodules[f"long_{lane}"] = slow = LongLane()
            channel = getattr(parameters, f"channel_{lane % config.block_out}")
            m.d.comb += [
                short.adds.eq(is_op["add"]), short.larger.eq(is_op["max"]), short.x.eq(x), short.y.eq(y),
                slow.enables.eq(long[FIRST:]), slow.slows.eq(slows[FIRST:]), slow.requants.eq(requants[FIRST:]),
                slow.multiplies.eq(is_op["mul"]), slow.shifts.eq(is_op["shr"]), slow.x.eq(x), slow.y.eq(y),
                *(getattr(slow, name).eq(getattr(channel, name)) for name in FIELDS),
                self.write_data[lane].eq(results[lane] | slow.result | sign_extended(slow.quantised, config.acc_bits)
                                         | sign_extended(tables.result[lane], config.acc_bits))]
            with m.If(computes):
                m.d.sync += results[lane].eq(short.result)
            with m.Else():
                m.d.sync += results[lane].eq(0)
            with m.If(step["write"].valid):
                m.d.sync += written[lane].eq(results[lane])

    def _stages(self, m, name, reads):
        """A bit a stage that such a step is in, from `read`, which it leaves, on."""
        later = Signal(FIRST - 1 + LATENCY, name=f"{name}_stages")
        m.d.sync += later.eq(Cat(reads, later))
        return Cat(reads, later)

    def _tables(self, m, tables, indices, looks_up, changed):
        wiring.connect(m, wiring.flipped(self.own_write), tables.write)
        asked = [indices.src, *(register(f"asked_{stage}", tables.table.shape()) for stage in range(FIRST))]
        for stage, (before, after) in enumerate(zip(asked, asked[1:])):
            with m.If(looks_up[stage]):
                m.d.sync += after.eq(before)
        m.d.comb += [tables.enables.eq(looks_up[FIRST:]), tables.table.eq(asked[-1])]
        m.d.comb += [x.eq(element) for x, element in zip(tables.x, changed)]
