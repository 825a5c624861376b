"""What a library does for one input, as steps over bytes: the executor's work, with every layout known beforehand.

Copies are found by doing them with NumPy's views of arrays that are never filled: their strides are the loops.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from weft.isa import WeftError
from weft.runtime.layout import GatherAxis, activation_parts, activation_shape, gathered_shape, weight_shape
from weft.runtime.module import CpuFunction, Launch, Module, Operator

LINE = 64  # bytes: where values begin in scratch memory and among constants
MOST_AXES = 8  # loops of a copy
SCRATCH, CONSTANTS, FIRST = 0, 1, 2  # bases of places; from FIRST on the inputs, then the outputs
FILL, COPY, WRITE, READ, LAUNCH, CALL = range(6)
FLIP = 128


@dataclass(frozen=True)
class Copy:
    """Elements of `item` bytes, in loops (size, bytes on at `to`, bytes on at `source`), outermost first; each byte XOR `flip`."""

    to: tuple[int, int]  # base, bytes on
    source: tuple[int, int]
    item: int
    flip: int
    loops: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Step:
    """FILL `size` bytes at `place` with `number`; COPY: `size` copies from number `number` on; WRITE `size` bytes at `place` to the
    device's address `number`, or READ them; LAUNCH `size` instructions at address `number`; CALL the function of that number."""

    kind: int
    number: int
    size: int = 0
    place: tuple[int, int] = (SCRATCH, 0)


@dataclass
class Seen:
    """A tensor as it lies in the library's memory: `array` has the shape, dtype and strides, and is a view of `whole`, which
    stands at `place`. Bytes are to be XORed with `flip`."""

    array: np.ndarray
    whole: np.ndarray
    place: tuple[int, int]
    flip: int = 0

    @property
    def plain(self) -> bool:
        return not self.flip and self.array.flags.c_contiguous and self.array.size == self.whole.size

    def of(self, array: np.ndarray) -> "Seen":
        """Another view of the same whole."""
        return Seen(array, self.whole, self.place, self.flip)

    @property
    def start(self) -> tuple[int, int]:
        base, offset = self.place
        return base, offset + self.array.__array_interface__["data"][0] - self.whole.__array_interface__["data"][0]


@dataclass
class Plan:
    """The steps of a module. scratch: bytes. constants: what the steps themselves read. calls: for each function the places of its
    inputs and outputs."""

    module: Module
    steps: list[Step] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    scratch: int = 0
    constants: bytearray = field(default_factory=bytearray)
    calls: list[list[tuple[int, int]]] = field(default_factory=list)


def plan(module: Module) -> Plan:
    """The steps that compute the outputs of `module` from its inputs. WeftError where an operator runs elsewhere than on the
    accelerator and the CPU."""
    left = [o for o in module.operators if o.where not in ("accel", "cpu", "view")]
    if left:
        kinds = ", ".join(dict.fromkeys(f"{o.name} ({o.op}, {o.where})" for o in left))
        raise WeftError(f"module '{module.name}'", "in a library for C each operator runs on the accelerator or the CPU, compiled", kinds,
                        "`weft compile --target accel,cpu`; `weft import` says why what is left stays on the host, by NumPy")
    return _Planner(module).plan


class _Planner:
    def __init__(self, module: Module):
        self.module, self.plan = module, Plan(module)
        self.views = {o.outputs[0]: o for o in module.operators if o.where == "view"}
        self.made_inside = {name for o in module.operators if o.where == "accel" for name in o.outputs}
        self.outputs = {name: FIRST + len(module.inputs) + k for k, name in reversed(list(enumerate(module.outputs)))}
        self.values = {name: self._at((FIRST + k, 0), *self._type(name)) for k, name in enumerate(module.inputs)}
        launches = {launch.operators[0]: launch for launch in module.launches}
        functions = {function.operators[0]: function for function in module.functions}
        for index in range(len(module.operators)):
            if index in launches:
                self._launch(launches[index])
            elif index in functions:
                self._call(functions[index])
        for k, name in enumerate(module.outputs):
            target = self._at((FIRST + len(module.inputs) + k, 0), *self._type(name))
            value = self._value(name)
            if value.place[0] != target.place[0]:
                self._copy(target, value)

    def _type(self, name: str) -> tuple[tuple[int, ...], str]:
        return self.module.tensors[name].shape, self.module.tensors[name].dtype

    @staticmethod
    def _at(place: tuple[int, int], shape: tuple[int, ...], dtype) -> Seen:
        whole = np.empty(shape, dtype)
        return Seen(whole, whole, place)

    def _new(self, shape: tuple[int, ...], dtype) -> Seen:
        """A tensor of its own in scratch memory."""
        made = self._at((SCRATCH, self.plan.scratch), shape, dtype)
        self.plan.scratch += -(-made.whole.nbytes // LINE) * LINE
        return made

    def _value(self, name: str) -> Seen:
        """A tensor in the library's memory, brought there the first time that someone asks."""
        if name not in self.values:
            if name in self.module.constants:
                self.values[name] = self._constant(self.module.constants[name])
            elif name in self.views:
                self.values[name] = self._seen(self._value(self.views[name].inputs[0]), self.views[name].attrs["steps"])
            else:
                self.values[name] = self._fetch(name)
        return self.values[name]

    def _constant(self, array: np.ndarray) -> Seen:
        blob = self.plan.constants
        blob.extend(bytes(-len(blob) % LINE))
        place = CONSTANTS, len(blob)
        blob.extend(np.ascontiguousarray(array).tobytes())
        return self._at(place, array.shape, array.dtype)

    def _seen(self, value: Seen, steps: Sequence[tuple]) -> Seen:
        """What `runtime.kernels.view.rearrange` makes of it; a copy only where a reshape needs one."""
        for step, *argument in steps:
            if step == "transpose":
                value = value.of(value.array.transpose(argument[0]))
            elif step == "reshape":
                array = value.array.reshape(argument[0])
                value = value.of(array) if np.may_share_memory(array, value.whole) else self._plain(value, tuple(argument[0]))
            else:
                assert step == "flip", step
                array = value.array.view(np.int8 if value.array.dtype == np.uint8 else np.uint8)
                value = Seen(array, value.whole, value.place, value.flip ^ FLIP)
        return value

    def _plain(self, value: Seen, shape: tuple[int, ...] | None = None) -> Seen:
        """The same values in C order."""
        if not value.plain:
            made = self._new(value.array.shape, value.array.dtype)
            self._copy(made, value)
            value = made
        return value if shape is None else value.of(value.array.reshape(shape))

    def _copy(self, to: Seen, source: Seen):
        """to.array[...] = source.array"""
        item = to.array.itemsize
        loops = merged([(n, a, b) for n, a, b in zip(to.array.shape, to.array.strides, source.array.strides)], item)
        if len(loops) > MOST_AXES:
            raise WeftError(f"module '{self.module.name}'", f"a tensor is copied in at most {MOST_AXES} loops", str(len(loops)),
                            "fewer axes in transposes and reshapes")
        if to.array.size:
            self._step(COPY, len(self.plan.copies), 1)
            self.plan.copies.append(Copy(to.start, source.start, item, source.flip, loops))

    def _step(self, kind: int, number: int, size: int = 0, place: tuple[int, int] = (SCRATCH, 0)):
        last = self.plan.steps[-1] if self.plan.steps else None
        if kind == COPY and last and last.kind == COPY and last.number + last.size == number:
            self.plan.steps[-1] = Step(COPY, last.number, last.size + 1)
        else:
            self.plan.steps.append(Step(kind, number, size, place))

    # The accelerator

    def _launch(self, launch: Launch):
        operators = [self.module.operators[k] for k in launch.operators]
        for name in dict.fromkeys(n for o in operators for n in o.inputs):
            if not self._is_inside(name) and name not in self.module.constants:
                packed = self._packed(name, self._value(name), operators)
                self._step(WRITE, self.module.addresses[name], packed.whole.nbytes, packed.place)
        self._step(LAUNCH, launch.insn_address, launch.insn_count)

    def _is_inside(self, name: str) -> bool:
        return name in self.made_inside or name in self.views and self._is_inside(self.views[name].inputs[0])

    def _packed(self, name: str, value: Seen, readers: Sequence[Operator]) -> Seen:
        """As the accelerator's operators read it: what the executor has `pack_activation`, `gather` and `pack_weight` do."""
        for operator in readers:
            if "gather" in operator.attrs and operator.inputs[0] == name:
                value = self._gathered(value, operator.attrs["gather"], operator.attrs["pad_value"])
            if operator.op == "dense" and operator.inputs[1] == name:
                return self._into(weight_shape(value.array.shape, self.module.config), value, weight_parts)
        return self._into(activation_shape(value.array.shape, self.module.config), value, activation_parts)

    def _into(self, shape: tuple[int, ...], value: Seen, parts) -> Seen:
        packed = self._new(shape, np.int8)
        if packed.array.size > value.array.size:
            self._step(FILL, 0, packed.whole.nbytes, packed.place)
        for part, place in parts(packed.array, value.array):
            self._copy(packed.of(place), value.of(part))
        return packed

    def _gathered(self, value: Seen, axes: tuple, pad_value: int) -> Seen:
        """`runtime.layout.gather`: what is outside of the image is filled beforehand."""
        made = self._new(gathered_shape(value.array.shape, axes), np.int8)
        self._step(FILL, pad_value & 255, made.whole.nbytes, made.place)
        (channels, height, width), (rows, columns) = value.array.shape[1:], (GatherAxis(*axis) for axis in axes)
        for r, s in np.ndindex(rows.parts, columns.parts):
            first = (r * columns.parts + s) * channels
            (to_y, from_y), (to_x, from_x) = (inside(a, k, n) for a, k, n in ((rows, r, height), (columns, s, width)))
            place = made.array[:, first:first + channels, to_y, to_x]
            self._copy(made.of(place), value.of(value.array[:, :, from_y, from_x]))
        return made

    def _fetch(self, name: str) -> Seen:
        """What the accelerator made, unpacked."""
        made = self._new(*self._type(name))
        packed = self._new(activation_shape(made.array.shape, self.module.config), np.int8)
        self._step(READ, self.module.addresses[name], packed.whole.nbytes, packed.place)
        for part, place in activation_parts(packed.array, made.array):
            self._copy(made.of(part), packed.of(place))
        return made

    # The CPU

    def _call(self, function: CpuFunction):
        places = [self._plain(self._value(name)).place for name in function.inputs]
        for name in function.outputs:
            of_library = name in self.outputs
            made = self._at((self.outputs[name], 0), *self._type(name)) if of_library else self._new(*self._type(name))
            self.values[name] = made
            places.append(made.place)
        self._step(CALL, self.module.functions.index(function))
        self.plan.calls.append(places)


def inside(axis: GatherAxis, part: int, size: int) -> tuple[slice, slice]:
    """(places whose row of this part lies in an image of `size` rows, these rows)."""
    rows = axis.rows()[part]
    places = np.flatnonzero((rows >= 0) & (rows < size))
    if not places.size:
        return slice(0, 0), slice(0, 0)
    return slice(int(places[0]), int(places[-1]) + 1), slice(int(rows[places[0]]), int(rows[places[-1]]) + 1, axis.step)


def weight_parts(packed: np.ndarray, w: np.ndarray):
    """Parts of logical weights as [o, c, KH, KW], each with its place in the layout of `pack_weight`: views, all values once."""
    oo, co, _, _, bo, bi = packed.shape
    w = w.reshape((*w.shape, 1, 1)[:4])
    for o, c in np.ndindex(oo, co):
        part = w[o * bo:(o + 1) * bo, c * bi:(c + 1) * bi]
        yield part, packed[o, c].transpose(2, 3, 0, 1)[:part.shape[0], :part.shape[1]]


def merged(loops: Sequence[tuple[int, int, int]], item: int) -> tuple[tuple[int, int, int], ...]:
    """The same elements in fewer loops: none of one turn, and two that are one on both sides joined. At least one."""
    found: list[tuple[int, int, int]] = []
    for size, to, source in loops:
        if size == 1:
            continue
        if found and found[-1][1] == size * to and found[-1][2] == size * source:
            size *= found.pop()[0]
        found.append((size, to, source))
    return tuple(found) or ((1, item, item),)
