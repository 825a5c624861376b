"""The timing device: when every instruction starts and ends, equal to the RTL, by a model that walks from event to event.

    start   the cycle in which the instruction leaves its module's queue, in the compute module the decoder: the tokens
            that it takes were all there and are taken, in this cycle or before; there is room for those that it gives;
            the module can begin it.
    end     the cycle in which it is done: its last beat is written to a scratchpad, or DRAM has answered its last write; in
            the compute module the last write to ACC or a scratchpad was in the cycle before, and older ones have ended. The
            tokens that it gives can be taken from the next cycle on.

Both are the pulses of `trace` in weft/hw/top.py. Cycle 0 is the one in which the host's write of `launch` is taken; FINISH's
end is the launch's number of cycles.

What a program computes changes none of this, but for micro-ops: their destinations decide where requantisation waits,
and which half of ACC an instruction uses. So the model reads the instruction stream and the micro-ops, and the functional
device computes the outputs.

    state     the machine's registers, as records
    decode    a stream to records
    machine   a cycle: fetch, tokens, bursts, unpack, store, dram, compute and alu are its parts, as in weft/hw
    leap      cycles that are alike, at once
    run       a launch; launch, device: around it
"""

from .device import TimingDevice

__all__ = ["TimingDevice"]
