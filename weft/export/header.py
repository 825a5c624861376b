"""The header of a network's library: what a C program knows of it."""

import numpy as np

from weft.isa import WeftError
from weft.runtime.module import Module, TensorInfo

from . import tables
from .linker import SOURCES

TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "uint16": "uint16_t", "int32": "int32_t",
         "uint32": "uint32_t", "int64": "int64_t", "uint64": "uint64_t", "float32": "float", "float64": "double", "bool": "uint8_t"}

FUNCTIONS = """typedef struct NETWORK NETWORK;

/* Makes the network ready to run, its constants in the device's DRAM from byte `base` (a multiple of 4096) on.
   device: stays the caller's, and must outlive the network; NULL for a network without launches.
   threads: of the CPU's part; 0: as many as cores. Returns a weft_status; *network is NULL unless it is WEFT_OK. */
int NETWORK_create(NETWORK **network, const weft_device *device, uint64_t base, int threads);

/* One input through the network: an array for each input and each output, row-major. By one thread at a time. */
int NETWORK_run(NETWORK *network, const void *const *inputs, void *const *outputs);

/* What the last error of NETWORK_run was, in words. */
const char *NETWORK_message(const NETWORK *network);

void NETWORK_destroy(NETWORK *network);
"""


def header(module: Module, prefix: str) -> str:
    """PREFIX.h: the device's interface, names, types and sizes of inputs and outputs, four functions."""
    upper = prefix.upper()
    text = [f"/* The network {tables.comment(module.name)}, for C. Written by weft. */",
            f"#ifndef {upper}_H", f"#define {upper}_H", "", (SOURCES / "device.h").read_text(),
            "#ifdef __cplusplus", 'extern "C" {', "#endif", "",
            f"#define {upper}_INPUTS {len(module.inputs)}", f"#define {upper}_OUTPUTS {len(module.outputs)}",
            f"#define {upper}_LAUNCHES {len(module.launches)} /* none: it needs no device */",
            f"#define {upper}_MEMORY_SIZE {module.memory_size} /* bytes of the device's DRAM, from `base` on */", ""]
    for kind, names in (("input", module.inputs), ("output", module.outputs)):
        for k, name in enumerate(names):
            text += _described(f"{upper}_{kind.upper()}_{k}", kind, k, name, module.tensors[name])
    text += [FUNCTIONS.replace("NETWORK", prefix), "#ifdef __cplusplus", "}", "#endif", "#endif", ""]
    return "\n".join(text)


def _described(name: str, kind: str, index: int, tensor: str, info: TensorInfo) -> list[str]:
    """What C is told of an input or output."""
    if info.dtype not in TYPES:
        raise WeftError(f"{kind} '{tensor}'", f"C knows {', '.join(TYPES)}", info.dtype, "another dtype at the network's edge")
    size = int(np.prod(info.shape, dtype=np.int64))
    text = [f"/* {kind} {index}: '{tables.comment(tensor)}', {info.dtype} {list(info.shape)} */",
            f"#define {name}_NAME {tables.string(tensor)}", f"#define {name}_TYPE {TYPES[info.dtype]}",
            f"#define {name}_RANK {len(info.shape)}", f"#define {name}_SHAPE {tables.row(info.shape)}",
            f"#define {name}_SIZE {size} /* elements */", f"#define {name}_BYTES {size * np.dtype(info.dtype).itemsize}"]
    if info.scale is not None:
        text += [f"#define {name}_SCALE {float(info.scale)!r}", f"#define {name}_ZERO_POINT {int(info.zero_point or 0)}"]
    return [*text, ""]
