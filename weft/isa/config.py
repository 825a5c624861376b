"""One frozen description of the machine. Hardware, instruction set, simulators, compiler and runtime all follow from it.

Sizes are in bytes and elements; no logarithm is asked of the user. An *element* is what one index of a scratchpad
addresses: a `batch` x `block` tile for INP, ACC and OUT, a `block_out` x `block_in` tile for WGT, a word for UOP, the
parameters of `block_out` channels for QNT and a table of 256 bytes for LUT.
"""

import dataclasses
import hashlib
import json
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .errors import WeftError

QNT_LANE_BYTES = 16  # bias, multiplier, control, reserved: four 32-bit words a channel (see quantise.py)
LUT_BYTES = 256  # a table for every value of an int8
UOP_BITS = 32


@dataclass(frozen=True)
class Config:
    """A machine. Every derived size is a property; `table()` prints them.

    Parameters
    ----------
    name: for people; it takes part in no comparison and no fingerprint.
    batch, block_in, block_out: the GEMM core multiplies (batch x block_in) by (block_in x block_out) in a step.
    inp_bits, wgt_bits, out_bits, acc_bits: widths of one lane.
    uop_buffer, inp_buffer, wgt_buffer, acc_buffer, qnt_buffer, lut_buffer: scratchpad sizes in bytes. OUT has the depth of ACC.
    bus_bits: width of the AXI4 data bus, 64 to 512.

    Raises
    ------
    WeftError: where the fields do not fit their bits, or a buffer cannot hold one tile.
    """

    name: str = dataclasses.field(default="default", compare=False)
    batch: int = 1
    block_in: int = 16
    block_out: int = 16
    inp_bits: int = 8
    wgt_bits: int = 8
    out_bits: int = 8
    acc_bits: int = 32
    uop_buffer: int = 1 << 15
    inp_buffer: int = 1 << 15
    wgt_buffer: int = 1 << 18
    acc_buffer: int = 1 << 17
    qnt_buffer: int = 1 << 13
    lut_buffer: int = 1 << 10
    bus_bits: int = 64

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name != "name" and (isinstance(value, bool) or not isinstance(value, int)):
                raise self._error(f"{field.name} must be a whole number", repr(value), "an int such as 16")
        self._check_sizes()
        from .table import check_config  # the widths that must fit are the table's to know

        check_config(self)

    def _error(self, rule: str, found: str, hint: str) -> WeftError:
        return WeftError(f"config '{self.name}'", rule, found, hint)

    def _check_sizes(self):
        for name in ("batch", "block_in", "block_out"):
            value = getattr(self, name)
            if value < 1 or value > 64 or value & (value - 1):
                raise self._error(f"{name} must be a power of two from 1 to 64", str(value), "1, 2, 4, 8, 16, 32 or 64")
        for name, allowed in (("inp_bits", (8,)), ("wgt_bits", (8,)), ("out_bits", (8,)), ("acc_bits", (32,)),
                              ("bus_bits", (64, 128, 256, 512))):
            if getattr(self, name) not in allowed:
                raise self._error(f"{name} must be one of {allowed}", str(getattr(self, name)), f"{name} = {allowed[0]}")
        if self.block_in != self.block_out:
            raise self._error("block_in and block_out must be equal, so that an output can be an input",
                              f"{self.block_in} and {self.block_out}", "the same number for both")
        for kind in ("uop", "inp", "wgt", "acc", "qnt", "lut"):
            size, element = getattr(self, f"{kind}_buffer"), getattr(self, f"{kind}_bytes")
            if size < 1 or size & (size - 1):
                raise self._error(f"{kind}_buffer must be a power of two", str(size), f"{kind}_buffer = {element * 256}")
            if size < 2 * element:
                raise self._error(f"{kind}_buffer must hold two elements of {element} bytes, one in use and one on its way",
                                  f"{size} bytes", f"{kind}_buffer = {element * 256}")

    # Bytes of one element, in the scratchpad and (but for ACC_8BIT) in DRAM.
    uop_bytes = UOP_BITS // 8
    lut_bytes = LUT_BYTES

    @property
    def inp_bytes(self) -> int:
        return self.batch * self.block_in * self.inp_bits // 8

    @property
    def wgt_bytes(self) -> int:
        return self.block_out * self.block_in * self.wgt_bits // 8

    @property
    def acc_bytes(self) -> int:
        return self.batch * self.block_out * self.acc_bits // 8

    @property
    def out_bytes(self) -> int:
        return self.batch * self.block_out * self.out_bits // 8

    @property
    def qnt_bytes(self) -> int:
        return self.block_out * QNT_LANE_BYTES

    # Elements that a scratchpad holds.
    @property
    def uop_depth(self) -> int:
        return self.uop_buffer // self.uop_bytes

    @property
    def inp_depth(self) -> int:
        return self.inp_buffer // self.inp_bytes

    @property
    def wgt_depth(self) -> int:
        return self.wgt_buffer // self.wgt_bytes

    @property
    def acc_depth(self) -> int:
        return self.acc_buffer // self.acc_bytes

    @property
    def out_depth(self) -> int:
        return self.acc_depth

    @property
    def qnt_depth(self) -> int:
        return self.qnt_buffer // self.qnt_bytes

    @property
    def lut_depth(self) -> int:
        return self.lut_buffer // self.lut_bytes

    @property
    def macs_per_cycle(self) -> int:
        return self.batch * self.block_in * self.block_out

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits that two equal machines share, whatever they are called."""
        fields = {k: v for k, v in dataclasses.asdict(self).items() if k != "name"}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict) -> "Config":
        known = {f.name for f in dataclasses.fields(cls)}
        for key in fields:
            if key not in known:
                raise WeftError(f"config '{fields.get('name', '?')}'", f"a field must be one of {', '.join(sorted(known))}",
                                repr(key), "a spelling from that list")
        return cls(**fields)

    @classmethod
    def from_vta(cls, name: str, logs: dict) -> "Config":
        """From the logarithms of a VTA configuration: `log_batch`, `log_block`, `log_inp_w`, `log_uop_buf` and so on."""
        return cls(name=name, batch=1 << logs["log_batch"], block_in=1 << logs["log_block"],
                   block_out=1 << logs["log_block"], inp_bits=1 << logs["log_inp_w"], wgt_bits=1 << logs["log_wgt_w"],
                   out_bits=1 << logs["log_inp_w"], acc_bits=1 << logs["log_acc_w"],
                   uop_buffer=1 << logs["log_uop_buf"], inp_buffer=1 << logs["log_inp_buf"],
                   wgt_buffer=1 << logs["log_wgt_buf"], acc_buffer=1 << logs["log_acc_buf"])


DEFAULT = Config()
PRESETS = {c.name: c for c in (
    DEFAULT,
    Config(name="1x8x8", block_in=8, block_out=8, uop_buffer=1 << 12, inp_buffer=1 << 12, wgt_buffer=1 << 14,
           acc_buffer=1 << 14, qnt_buffer=1 << 12),
    Config(name="1x32x32", block_in=32, block_out=32, bus_bits=128),
    Config(name="2x16x16", batch=2),
)}


def load_config(source: "str | Path | Config") -> Config:
    """A preset by name, or a TOML file of Config's fields.

    Raises
    ------
    WeftError: for a name that is neither, or a file that cannot be understood.
    """
    if isinstance(source, Config):
        return source
    if str(source) in PRESETS:
        return PRESETS[str(source)]
    path = Path(source)
    if not path.is_file():
        raise WeftError(f"config '{source}'", f"a config is a preset ({', '.join(PRESETS)}) or a TOML file", "neither",
                        "`weft config` to list the presets")
    try:
        fields = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WeftError(f"config file {path}", "a config file must be TOML", str(error), "lines such as `block_in = 16`")
    return Config.from_dict({"name": path.stem, **fields})
