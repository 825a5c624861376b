"""The machine's registers as nested records of int64: what the functions of this package read and write in place.

One record holds all of the machine, since a record is handed to a compiled function as a pointer. Names are those of
weft/hw and weft/sim/rtl/memory.h.
"""

import numpy as np

COMPUTE, FETCH, LOAD, STORE = 0, 1, 2, 3  # clients of the memory engine; of those that read, in order of priority
READERS = 3
LOADS, COMPUTES, STORES = 0, 1, 2  # the modules, as in weft.isa.Module
NOTHING, MOVES, STEPS = 0, 1, 2  # work of an instruction: tokens only, a block of memory, steps of the pipeline
ENTRIES = 16  # instructions of compute that have begun and not ended
ALONE, MULTIPLY, ALU, MOVE = 0, 1, 2, 3  # engines of compute: none (tokens only), products, operations, LOAD
ENGINES = 4
WAITING = (0, 2, 8, 4)  # instructions that have begun and wait for an engine, at most
PLACES = 8  # for them, an engine
LOWER, UPPER, PARAMETERS = 1, 2, 4  # what instructions of different engines can meet in: halves of ACC, QNT and LUT
REQUESTS = 1 << 10  # that DRAM has taken and not served; more than its `outstanding`
STORE_ENDS = 8  # stores that wait for answers only
KEPT = 13  # long steps that a later one may have to wait for, and times at which the pipeline stood still
LONG_AGO, NEVER = -(1 << 40), 1 << 60


def record(**fields) -> np.dtype:
    """A record whose fields are attributes, in plain Python and compiled: int64, a record, or (either, count)."""
    return np.dtype((np.record, [(name, kind) if not isinstance(kind, tuple) else (name, kind[0], (kind[1],))
                                 for name, kind in fields.items()]))


def integers(names: str) -> dict[str, type]:
    return dict.fromkeys(names.split(), np.int64)


# An instruction, decoded. uses: of `confined` ones without the half that their first micro-op tells; several: a LOAD of
# more than a row.
INSTRUCTION = record(**integers(
    "module work finish pop_prev pop_next push_prev push_next "
    "address rows x_size stride y_pad_0 y_pad_1 x_pad_0 x_pad_1 height width empty "
    "parts slots element_bits deep is_uop sram pad_value "
    "several engine uses confined steps long reads_src uop_bgn uop_end iter_out iter_in dst_out dst_in src_out src_in"))

# What an instruction's run is told of, in cycles since the launch; see weft/sim/timing/__init__.py.
TIMES = record(**integers("fetched start issued end beats"))

# A walker of `rows` that are left, from byte `address`; a splitter of `left` beats from beat `at`; what waits to be
# unpacked.
CLIENT = record(**integers(
    "rows address x_size stride parts slots element_bits index left at age enough credits max_burst waiting ready next "
    "entry"))

# ended, gone: the instruction that was done in the cycle before, and in that before it, and one; 0: none.
UNPACKER = record(**integers(
    "running begun index entry ended gone empty x y part slot row_slot width height x_pad x_end y_pad y_end parts slots "
    "deep moves"))

# The queue before a module (a memory of `inner`, its output if that is `ready`, and a register if that is `shown`), how many
# of its `total` instructions have begun and ended, and the gate: what the head wants, whether it has its tokens, and takes
# them, or begins, in this cycle.
MODULE = record(**integers("inner ready shown begun ended total popped pops starts head pop_prev pop_next push_prev "
                           "push_next"))

TOKEN = record(**integers("count reserved"))  # places are reserved as an instruction begins, tokens come as it ends

REQUEST = record(**integers("ready beats client"))
ENTRY = record(**integers("index engine uses done"))  # done: the cycle of its last write, NEVER as long as that is not known
# Places of those that wait for an engine. holds: the first is ready to be taken; able: nothing that it depends on is still
# to be done; begins: it does, in this cycle.
LINE = record(**integers("first count holds able begins"))
PLACE = record(**integers("index entry waits"))  # waits: a bit for each entry that must be done before
ISSUE = record(**integers("until first_uop last_uop"))  # the cycle of the last step's issue, and the micro-ops that are read
WAIT = record(**integers("asked index"))
LONG_STEP = record(**integers("dst cycle"))
PAUSE = record(**integers("begin end"))

MACHINE = record(
    **integers("now finished stuck instructions "
               "bus_bytes beat_bits page_beats acc_depth src_offset src_indices latency write_latency rate "
               "outstanding "  # machine and DRAM
               "arready rvalid rlast rid reads_first reads_count read_credit sending "  # DRAM's channels: read, write
               "awready wready bvalid writes_first writes_count answers_first answers_count unmatched write_credit "
               "arvalid ar_client ar_beats held owner behind awvalid aw_beats write_left relayed "  # the memory engine
               "launching stream left inner level part whole handed parts slots "  # fetch
               "decoded ready is_read was_read ended in_flight oldest newest newest_long loads_uop uop_entry "
               "late "  # compute
               "active index asked answered room reached waits_first waits_count "  # store, and its packer
               "pack_x pack_y pack_part pack_slot pack_row_slot pack_got got_slot got_last pack_full full_slot full_last "
               "read_beats write_beats load_busy compute_busy store_busy"),  # counters
    clients=(CLIENT, 4), unpackers=(UNPACKER, READERS), modules=(MODULE, 3), tokens=(TOKEN, 4),
    reads=(REQUEST, REQUESTS), writes=(np.int64, REQUESTS), answers=(np.int64, REQUESTS),
    entries=(ENTRY, ENTRIES), lines=(LINE, ENGINES), places=(PLACE, ENGINES * PLACES), issues=(ISSUE, ENGINES),
    waits=(WAIT, STORE_ENDS), longs=(LONG_STEP, KEPT), pauses=(PAUSE, KEPT))
