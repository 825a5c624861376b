"""Other names for the symbols of an object file, so that functions of one name for several CPUs go into one library."""

import struct
from collections.abc import Mapping

SYMTAB, SYMBOL_BYTES = 2, {1: 16, 2: 24}  # by class: 1 is 32 bits, 2 is 64
_SECTION = {1: struct.Struct("<10I"), 2: struct.Struct("<IIQQQQIIQQ")}  # name, type, flags, address, offset, size, link, ...


def renamed(code: bytes, names: Mapping[str, str]) -> bytes:
    """An ELF object file (little-endian) whose symbols have other names, where `names` has one; whether they are defined in it or not.

    The string table is written anew behind the file, and grows by the new names.
    """
    assert code[:4] == b"\x7fELF" and code[5] == 1, "an ELF file, little-endian"
    kind = code[4]
    section, made = _SECTION[kind], bytearray(code)
    first, = struct.unpack_from("<Q" if kind == 2 else "<I", code, 40 if kind == 2 else 32)
    count, = struct.unpack_from("<H", code, 60 if kind == 2 else 48)
    headers = [first + k * section.size for k in range(count)]
    for header in headers:
        _, type_, _, _, offset, size, link, *_ = section.unpack_from(code, header)
        if type_ == SYMTAB:
            strings = headers[link]
            table = list(section.unpack_from(made, strings))
            text = bytearray(made[table[4]:table[4] + table[5]])
            for symbol in range(offset, offset + size, SYMBOL_BYTES[kind]):
                place, = struct.unpack_from("<I", code, symbol)
                name = code[table[4] + place:code.index(b"\0", table[4] + place)].decode()
                if name in names:
                    struct.pack_into("<I", made, symbol, len(text))
                    text += names[name].encode() + b"\0"
            table[4:6] = len(made), len(text)
            section.pack_into(made, strings, *table)
            made += text
    return bytes(made)
