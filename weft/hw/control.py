"""Launch to finish: what runs, what it waits for, the watchdog, and the counters that the host reads."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.isa.registers import REGISTERS

STATUS = {name: low for name, low, _ in REGISTERS["status"].bits}
WAITS = tuple(name for name in STATUS if "_waits_" in name or "_full" in name)  # levels, straight from the gates
COUNTED = ("acc_writes", "gemm_steps", "alu_steps", "read_beats", "write_beats", "load_busy", "compute_busy", "store_busy")


class Control(wiring.Component):
    """Members: `launch` (ignored while busy) and `finish` are pulses; `ended` is a level from finish, or from the watchdog,
    to the next launch, `finished` from finish only. `counts` sum up `events` while busy. `moving`: something
    happened in this cycle. `bus_error`, `illegal`: pulses that are remembered. `status`: the register. What is counted, and
    what status tells of waits, is a cycle old."""

    def __init__(self):
        super().__init__({
            "launch": In(1), "begin": Out(1), "finish": In(1), "busy": Out(1), "finished": Out(1), "ended": Out(1),
            "watchdog": In(32), "moving": In(1), "bus_error": In(1), "illegal": In(1), "tokens_left": In(1),
            "waits": In(wiring.Signature({name: Out(1) for name in WAITS})), "status": Out(32), "cycles": Out(32),
            "events": In(wiring.Signature({name: Out(2 if name == "acc_writes" else 1) for name in COUNTED})),
            "counts": Out(wiring.Signature({name: Out(32) for name in COUNTED}))})

    def elaborate(self, platform):
        m = Module()
        expired, bus_error, illegal, still = Signal(), Signal(), Signal(), Signal(32)
        late = Signal()  # it has stood still for too long, a cycle before
        counted, moving = Signal(), Signal()  # whether the cycle before was one of the run, and something happened in it
        events = {name: Signal.like(getattr(self.events, name), name=f"{name}_before") for name in COUNTED}
        waits = {name: Signal(name=f"{name}_before") for name in WAITS}
        m.d.sync += [counted.eq(self.busy), moving.eq(self.moving)]
        m.d.sync += [events[name].eq(getattr(self.events, name)) for name in COUNTED]
        m.d.sync += [waits[name].eq(getattr(self.waits, name)) for name in WAITS]
        with m.If(counted):
            for name in COUNTED:
                count = getattr(self.counts, name)
                with m.If(events[name].any()):
                    m.d.sync += count.eq(count + events[name])
        m.d.comb += [self.begin.eq(self.launch & ~self.busy), self.ended.eq(self.finished | expired)]
        m.d.sync += late.eq(self.busy & (self.watchdog != 0) & (still >= self.watchdog))
        with m.If(self.busy):
            m.d.sync += [self.cycles.eq(self.cycles + 1), still.eq(still + 1)]
            with m.If(moving):
                m.d.sync += still.eq(0)
            with m.If(late):
                m.d.sync += [expired.eq(1), self.busy.eq(0)]
            with m.If(self.finish):
                m.d.sync += [self.finished.eq(1), self.busy.eq(0)]
            with m.If(self.bus_error):
                m.d.sync += bus_error.eq(1)
            with m.If(self.illegal):
                m.d.sync += illegal.eq(1)
        with m.If(self.begin):
            m.d.sync += [self.busy.eq(1), self.finished.eq(0), expired.eq(0), bus_error.eq(0), illegal.eq(0), still.eq(0),
                         late.eq(0), self.cycles.eq(0)]
            m.d.sync += [getattr(self.counts, name).eq(0) for name in COUNTED]
        bits = {"busy": self.busy, "watchdog": expired, "bus_error": bus_error, "tokens_left": self.tokens_left,
                "illegal": illegal, **waits}
        m.d.comb += [self.status[STATUS[name]].eq(value) for name, value in bits.items()]
        return m
