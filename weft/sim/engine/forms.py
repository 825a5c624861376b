"""How a CPU multiplies: the ways in which GEMM's inner products can be computed, and which of them this CPU has.

All take `group` neighbouring inputs at a time, as 32 bits that are the same in every lane, and in lane o the weights of
output channel o for these inputs: `dot` adds their products. They differ in how inputs and weights are kept for it.
"""

from dataclasses import dataclass

from weft.isa import Config, WeftError
from weft.llvm.machine import host_features
from weft.llvm.values import I8, I16, I32, Value, declared, vector

MOST_POSITIONS = 16  # accumulators that are kept in registers: more hide no latency


@dataclass(frozen=True)
class Form:
    """One way.

    lanes: int32 lanes of a vector. group: inputs in 32 bits. lane_bytes: of an input and a weight as they are kept.
    vectors, vector_bits: registers of the CPU. features: what LLVM is told that the CPU has.
    """

    name: str
    lanes: int
    group: int
    vectors: int
    vector_bits: int
    features: str

    @property
    def lane_bytes(self) -> int:
        return 4 // self.group

    @property
    def unsigned_inputs(self) -> bool:
        """Inputs are kept with 128 added: the products are too large by 128 times the sum of the weights."""
        return self.name == "vnni"

    def positions(self, config: Config) -> int:
        """How many elements of ACC are summed at a time, in registers."""
        registers = -(-config.block_out * 32 // self.vector_bits)
        return max(1, min(MOST_POSITIONS, (self.vectors * 3 // 4) // registers))

    def dot(self, total: Value, inputs: Value, weights: Value) -> Value:
        """total + sum over the group of inputs * weights, in each int32 lane; both are int32 lanes by bit pattern."""
        b, lanes = total.builder, self.lanes
        if self.name == "vnni":
            kind = vector(I8, 4 * lanes)
            function = declared(b.module, f"llvm.x86.avx512.vpdpbusd.{32 * lanes}", total.type, total.type, kind, kind)
            return Value(b, b.call(function, [total.ir, inputs.bitcast(kind).ir, weights.bitcast(kind).ir]))
        kind = vector(I16, 2 * lanes)  # LLVM knows this as the multiply-add of pairs, where the target has one
        products = inputs.bitcast(kind).sext(I32) * weights.bitcast(kind).sext(I32)
        return total + (products.shuffle(list(range(0, 2 * lanes, 2))) + products.shuffle(list(range(1, 2 * lanes, 2))))


def _flags(features: dict[str, bool], without: tuple[str, ...] = ()) -> str:
    signs = {name: "+" if has and not name.startswith(without) else "-" for name, has in sorted(features.items())}
    return ",".join(sign + name for name, sign in signs.items())


def forms(config: Config, features: dict[str, bool] | None = None) -> dict[str, Form]:
    """The forms that a CPU of these features (default: this CPU) can run for a config, the fastest first.

    An instruction that the CPU lacks would end the process, so a form is offered only where each of its features is there.
    """
    features = host_features() if features is None else features
    has = lambda *names: all(features.get(n) for n in names)
    lanes, found = min(config.block_out, 16), {}
    wide = has("avx512f", "avx512bw", "avx512vl", "avx512dq")
    if config.block_in >= 4 and lanes >= 4:
        if wide and has("avx512vnni"):
            found["vnni"] = Form("vnni", lanes, 4, 32, 512, _flags(features))
        if has("avxvnni", "avx2") or wide and has("avx512vnni"):
            narrow = _flags(features, ("avx512",) if has("avxvnni") else ())
            found["vnni256"] = Form("vnni", min(lanes, 8), 4, 16, 256, narrow)
    if wide:
        found["avx512"] = Form("pairs", lanes, 2, 32, 512, _flags(features))
    if has("avx2"):
        found["avx2"] = Form("pairs", lanes, 2, 16, 256, _flags(features, ("avx512", "avxvnni")))
    sixteen_registers = "sse2" in features
    found["plain"] = Form("pairs", lanes, 2, 16 if sixteen_registers else 32, 128,
                          "+sse2" if sixteen_registers else _flags(features))
    return found


def choose(config: Config, name: str | None = None) -> Form:
    """The form of that name, or the fastest. WeftError where this CPU cannot run it."""
    found = forms(config)
    if name is not None and name not in found:
        raise WeftError(f"engine '{name}'", f"this CPU can run {', '.join(found)}", repr(name),
                        "one of these, or none: the fastest is chosen")
    return found[name or next(iter(found))]
