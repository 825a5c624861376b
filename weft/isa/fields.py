"""Bit fields: a `Layout` is an ordered list of named fields that encodes to and decodes from one integer."""

from dataclasses import dataclass

from .errors import WeftError


@dataclass(frozen=True)
class Field:
    """`width` bits from bit `offset` upward; `signed` is two's complement."""

    name: str
    offset: int
    width: int
    signed: bool = False

    @property
    def bounds(self) -> tuple[int, int]:
        """Smallest and largest value that fits, both inclusive."""
        if self.signed:
            return -(1 << self.width - 1), (1 << self.width - 1) - 1
        return 0, (1 << self.width) - 1


class Layout:
    """Named fields of a word of `size` bits. Bits that no field names are free: 0 when encoded, ignored when decoded.

    >>> pair = Layout("pair", 8, [Field("low", 0, 4), Field("high", 4, 4, signed=True)])
    >>> hex(pair.encode(low=5, high=-1)), pair.decode(0xf5)
    ('0xf5', {'low': 5, 'high': -1})
    """

    def __init__(self, name: str, size: int, fields: list[Field]):
        self.name, self.size = name, size
        self.fields = {f.name: f for f in fields}
        used = 0
        for f in fields:
            mask = ((1 << f.width) - 1) << f.offset
            assert f.width > 0 and not used & mask, f"{name}.{f.name} overlaps another field or is empty"
            used |= mask

    def encode(self, **values: int) -> int:
        """The word of these values; fields that are not given are 0. WeftError where a value does not fit."""
        word = 0
        for name, value in values.items():
            f = self.fields.get(name)
            if f is None:
                raise WeftError(self.name, f"a field is one of {', '.join(self.fields)}", repr(name), "one of these names")
            low, high = f.bounds
            if not low <= value <= high:
                raise WeftError(f"{self.name}.{name}", f"a value must be from {low} to {high}", str(value),
                                "smaller tiles, or a config whose buffers are deeper")
            word |= (int(value) & (1 << f.width) - 1) << f.offset
        return word

    def decode(self, word: int) -> dict[str, int]:
        """Every field's value."""
        values = {}
        for f in self.fields.values():
            value = word >> f.offset & (1 << f.width) - 1
            values[f.name] = value - (1 << f.width) if f.signed and value >> f.width - 1 else value
        return values
