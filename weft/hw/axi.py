"""AXI4 and AXI4-Lite as signatures, with the bus's own names for the wires."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

ADDRESS_BITS = 32
PAGE_BYTES = 4096  # no burst may cross a multiple of this
BURST_INCR = 1
CACHE_BUFFERABLE = 0b0011  # normal memory, not cached
PROT_DATA = 0


def axi4(data_bits: int, id_bits: int) -> wiring.Signature:
    """An AXI4 master with 32-bit addresses. No locks, no quality of service, no regions."""
    address = {"id": id_bits, "addr": ADDRESS_BITS, "len": 8, "size": 3, "burst": 2, "cache": 4, "prot": 3}
    return wiring.Signature({
        **{f"aw{name}": Out(width) for name, width in address.items()}, "awvalid": Out(1), "awready": In(1),
        "wdata": Out(data_bits), "wstrb": Out(data_bits // 8), "wlast": Out(1), "wvalid": Out(1), "wready": In(1),
        "bid": In(id_bits), "bresp": In(2), "bvalid": In(1), "bready": Out(1),
        **{f"ar{name}": Out(width) for name, width in address.items()}, "arvalid": Out(1), "arready": In(1),
        "rid": In(id_bits), "rdata": In(data_bits), "rresp": In(2), "rlast": In(1), "rvalid": In(1), "rready": Out(1),
    })


def axi4_lite(address_bits: int) -> wiring.Signature:
    """An AXI4-Lite master of 32 data bits; a slave has it flipped."""
    return wiring.Signature({
        "awaddr": Out(address_bits), "awprot": Out(3), "awvalid": Out(1), "awready": In(1),
        "wdata": Out(32), "wstrb": Out(4), "wvalid": Out(1), "wready": In(1),
        "bresp": In(2), "bvalid": In(1), "bready": Out(1),
        "araddr": Out(address_bits), "arprot": Out(3), "arvalid": Out(1), "arready": In(1),
        "rdata": In(32), "rresp": In(2), "rvalid": In(1), "rready": Out(1),
    })
