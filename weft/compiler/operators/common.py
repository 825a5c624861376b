"""What the operators share: reading a node, windows, and limits of the instructions."""

import dataclasses
from dataclasses import dataclass, field

from weft.isa import Config
from weft.runtime.layout import activation_shape

from .. import te
from ..schedule import Schedule
from ..te import Axis, Tensor


def subject(node) -> str:
    return f"node '{node.name}' ({node.op})"


@dataclass(frozen=True)
class Window:
    """A window that slides over an image; sizes in elements, pads are (top, left, bottom, right), negative where rows are
    left out."""

    kh: int
    kw: int
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int] = (1, 1)

    def rows(self, oh):
        """Rows of input under `oh` rows of output. Where the kernel has a single row, only those that it uses."""
        return (oh - 1) * self.row_step + (self.kh - 1) * self.dilations[0] + 1

    def columns(self, ow):
        return (ow - 1) * self.strides[1] + (self.kw - 1) * self.dilations[1] + 1

    def at(self, oh, ow, kh, kw):
        """Row and column of a tile that (oh, ow) meets at a place of the kernel; kh is 0 where there is a single row."""
        return oh * self.row_step + kh * self.dilations[0], ow * self.strides[1] + kw * self.dilations[1]

    @property
    def row_step(self) -> int:
        """Rows of a tile between two rows of output."""
        return 1 if self.kh == 1 else self.strides[0]

    @property
    def row_skip(self) -> int:
        """Rows of the image for one row of a tile."""
        return self.strides[0] if self.kh == 1 else 1


@dataclass(frozen=True, kw_only=True)
class Windowed:
    """What has a window over an image, in elements: n counts blocks of images; h, w are the input's, oh, ow the output's
    sizes."""

    n: int
    h: int
    w: int
    oh: int
    ow: int
    window: Window


def pad(x: Tensor, window: Window, oh: int, ow: int, value: int, dtype: str = "int8") -> Tensor:
    """x with what the windows of (oh, ow) outputs see around it, and without what they do not see."""
    *blocks, h, w, nb, cb = x.axes
    rows, columns = window.rows(oh), window.columns(ow)
    top, left, _, _ = window.pads

    def define(*i):
        *outside, h_, w_, nb_, cb_ = i
        row, column = h_ * window.row_skip - top, w_ - left
        conditions = [row.ge(0)] * (top > 0) + [row.lt(h.extent)] * ((rows - 1) * window.row_skip - top >= h.extent)
        conditions += [column.ge(0)] * (left > 0) + [column.lt(w.extent)] * (columns - 1 - left >= w.extent)
        return te.select(conditions, x[*outside, row, column, nb_, cb_].astype(dtype), value)

    sizes = {**{axis.name: axis.extent for axis in blocks}, "h": rows, "w": columns, nb.name: nb.extent, cb.name: cb.extent}
    return te.compute(f"{x.name}_pad", sizes, define)


def image(shape: tuple[int, ...], config: Config) -> tuple[int, int, int, int]:
    """Blocks of batch, blocks of channels, height and width of a logical [N, C, H, W] or [N, C]."""
    return activation_shape(tuple(shape), config)[:4]


@dataclass
class Ending:
    """What follows the sums of an operator: y = int8(requant(sums, qnt)), and a table after that or in its place.

    Once `into_scratchpads` was called: stages, the last first, are what is computed in ACC on the way to y, loads the copies
    of lanes and table, and marks the instructions of all of these.
    """

    qnt: Tensor | None
    table: Tensor | None
    y: Tensor
    quantised: Tensor | None  # before the table, if there are both
    stages: list[Tensor] = field(default_factory=list)
    marks: dict[Tensor, str] = field(default_factory=dict)
    loads: list[Tensor] = field(default_factory=list)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """The placeholders of lanes and table, as far as they are there, in the order of a node's inputs."""
        return tuple(tensor for tensor in (self.qnt, self.table) if tensor is not None)

    def into_scratchpads(self, s: Schedule):
        """Keeps y and what is before it in ACC, and the parameters in QNT and LUT."""
        written = s.cache_write(self.y, "acc")
        self.stages = [written] if self.quantised is None else [written, self.quantised]
        for stage in self.stages:
            s[stage].set_scope("acc")
        if self.qnt is not None:
            self.loads.append(s.cache_read(self.qnt, "qnt", [self.stages[-1]]))
        if self.table is not None:
            self.loads.append(s.cache_read(self.table, "lut", [written]))
        self.marks = {**dict.fromkeys(self.stages, "alu"), **dict.fromkeys(self.loads, "load")}

    def load_at(self, s: Schedule, axis: Axis):
        """Loads lanes, and the table, within this loop of y."""
        for tensor in self.loads:
            s[tensor].compute_at(s[self.y], axis)


def requantised(sums: Tensor, channel: tuple[str, ...], with_table: bool) -> Ending:
    """The ending of int32 or int8 `sums` [.., batch, block]; `channel`: names of the axes that a lane of qnt belongs to."""
    extents = {axis.name: axis.extent for axis in sums.axes}
    names = list(extents)
    qnt = te.placeholder("qnt", {name: extents[name] for name in channel}, "qnt", element_rank=1)

    def quantise(*i):
        return qnt[tuple(i[names.index(name)] for name in channel)].requantise(sums[i].astype("int32"))

    if not with_table:
        return Ending(qnt, None, te.compute("y", extents, lambda *i: quantise(*i).astype("int8")), None)
    quantised = te.compute("quantised", extents, quantise)
    return dataclasses.replace(looked_up(quantised), qnt=qnt, quantised=quantised)


def looked_up(x: Tensor) -> Ending:
    """The ending that is a table alone."""
    table = te.placeholder("table", {"tables": 1}, "lut", element_rank=0)
    extents = {axis.name: axis.extent for axis in x.axes}
    return Ending(None, table, te.compute("y", extents, lambda *i: table[0].look_up(x[i].astype("int32")).astype("int8")),
                  None)
