"""The compiled module: one file that carries a network for one Config.

    bytes 0-7     magic "WEFTMOD\\0"
    bytes 8-11    format version, little-endian
    bytes 12-19   length of the header
    header        JSON: everything but arrays, and where each array lies in the blob; the role of constants that the image holds
    blob          the arrays and object files, each at a multiple of 64 bytes from the blob's start; of the image its pages that are not all 0
    last 32       SHA-256 of all bytes before
"""

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from weft.isa import Config, WeftError
from weft.isa.files import write_atomically
from weft.isa.table import INSTRUCTION_BYTES

from .stored import Stored
from .unpack import can_unpack, unpack_constant

MAGIC, FORMAT_VERSION = b"WEFTMOD\0", 4
PAGE = 4096  # bytes
_PREFIX = struct.Struct("<8sIQ")


@dataclass(frozen=True)
class TensorInfo:
    """A tensor as the user knows it. scale and zero_point are None where it is not quantised (or per channel)."""

    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True)
class Operator:
    """One node of the compiled graph, and where it runs.

    where: 'accel', and `reason` says if it is slow there; 'cpu' or 'gpu', compiled, or 'host', by NumPy, and `reason` says why; or
        'view', which is no work by itself, and `reason` says what does it: 'folded into packing', 'folded into unpacking', or 'the same bytes'.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: dict
    where: str
    reason: str = ""
    macs: int = 0


@dataclass(frozen=True)
class Launch:
    """One run of the accelerator: operators (indices) whose instructions stand at `insn_address` of the image."""

    operators: tuple[int, ...]
    insn_address: int
    insn_count: int
    layers: np.ndarray  # int32 [insn_count]: for each instruction, a position in `operators`


@dataclass(frozen=True)
class CpuFunction:
    """A run of operators (indices) on the CPU as one function of machine code, the symbol `symbol` of the module's code.

    inputs, outputs: names of tensors that it takes and gives, row-major and of the dtypes that the graph says. arena_size:
        bytes that it works in, of any content. constants: uint8, what it reads besides.
    layers: int32 [phases]: for each phase, between two barriers, a position in `operators`.
    """

    operators: tuple[int, ...]
    symbol: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    arena_size: int
    constants: np.ndarray
    layers: np.ndarray


@dataclass(frozen=True)
class GpuStep:
    """One launch of the kernel `symbol`: blocks and threads of a block along x, y, z. layer: a position in the operators.

    places: for each argument ("arena" or "constants", bytes from its begin).
    """

    symbol: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    places: tuple[tuple[str, int], ...]
    layer: int


@dataclass(frozen=True)
class GpuFunction:
    """A run of operators (indices) on a GPU as kernels that are launched one after the other.

    inputs, outputs: tensors that it takes and gives, row-major and of the dtypes that the graph says, and where in the arena
        they lie. arena_size: bytes that it works in, of any content. constants: uint8, what it reads besides.
    ptx: the kernels as text. architecture: the oldest GPU that runs it. accepted: the architectures that ptxas took it for when
        it was compiled.
    """

    operators: tuple[int, ...]
    inputs: dict[str, int]
    outputs: dict[str, int]
    arena_size: int
    constants: np.ndarray
    steps: tuple[GpuStep, ...]
    ptx: str
    architecture: str
    accepted: tuple[str, ...] = ()

    @property
    def kernels(self) -> int:
        """How many different ones there are."""
        return len({step.symbol for step in self.steps})


@dataclass
class Module:
    """A compiled network.

    image: uint8, DRAM contents from offset 0 of the module's memory: constants, micro-ops, instructions.
    memory_size: bytes that the module needs in all; addresses: byte offset of each tensor that lies in DRAM.
    constants: logical arrays of operators, by name. packed: the roles (of `unpack`) of those that the image holds too.
    stored: where those lie that the functions' constants hold. functions: those for the CPU. code: their object files, by form
    (weft.llvm.machine) and by the symbol that each defines.
    gpu_functions: those for a GPU.
    Operators stand in an order in which they can run.
    """

    name: str
    config: Config
    tensors: dict[str, TensorInfo]
    operators: list[Operator]
    launches: list[Launch]
    constants: dict[str, np.ndarray]
    image: np.ndarray
    memory_size: int
    addresses: dict[str, int]
    inputs: list[str]
    outputs: list[str]
    options: dict = field(default_factory=dict)
    packed: dict[str, str] = field(default_factory=dict)
    functions: list[CpuFunction] = field(default_factory=list)
    code: dict[str, dict[str, bytes]] = field(default_factory=dict)
    stored: dict[str, Stored] = field(default_factory=dict)
    gpu_functions: list[GpuFunction] = field(default_factory=list)

    @property
    def macs(self) -> int:
        return sum(o.macs for o in self.operators)

    def memory(self) -> np.ndarray:
        """DRAM before the first input: uint8 [memory_size], the image and zeros behind it."""
        dram = np.zeros(self.memory_size, np.uint8)
        dram[:self.image.size] = self.image
        return dram

    def stream(self, launch: Launch) -> np.ndarray:
        """The instructions of a launch: uint8 [insn_count, 16]."""
        size = launch.insn_count * INSTRUCTION_BYTES
        return self.image[launch.insn_address:launch.insn_address + size].reshape(-1, INSTRUCTION_BYTES)

    def __getitem__(self, name: str) -> Callable:
        """The function of that name, callable on arrays; a module has one, "main". See `weft.runtime.function.Function`."""
        from .function import Function

        if name != "main":
            raise WeftError(f"module '{self.name}'", "its functions are 'main'", repr(name), 'module["main"](x)')
        return Function(self)

    def run(self, *inputs: np.ndarray, device: "str | object" = "functional", **options):
        """(outputs, RunReport) of one input; see `weft.run`."""
        from . import executor

        return executor.run(self, inputs, device, **options)

    def save(self, path: str | Path):
        """Writes the file beside and renames it."""
        write_atomically(path, to_bytes(self))

    @classmethod
    def load(cls, path: str | Path) -> "Module":
        """WeftError for a file that is not a module, is truncated, altered, or of another version."""
        try:
            return from_bytes(Path(path).read_bytes(), str(path))
        except OSError as error:
            raise WeftError(f"module {path}", "a module file must be readable", error.strerror or str(error),
                            "`weft compile MODEL -o FILE.weft`")


def to_bytes(module: Module) -> bytes:
    """The file's bytes."""
    packed = {name: role for name, role in module.packed.items() if _is_in_image(module, name, role)}
    stored = {name: vars(place) for name, place in module.stored.items() if name not in packed}
    arrays = {f"constant:{k}": v for k, v in module.constants.items() if k not in packed and k not in stored}
    arrays |= {f"layers:{k}": launch.layers for k, launch in enumerate(module.launches)}
    arrays |= {f"cpu-layers:{k}": function.layers for k, function in enumerate(module.functions)}
    arrays |= {f"cpu-constants:{k}": function.constants for k, function in enumerate(module.functions)}
    arrays |= {f"code:{form}:{symbol}": np.frombuffer(code, np.uint8) for form, of_form in module.code.items()
               for symbol, code in of_form.items()}
    for k, function in enumerate(module.gpu_functions):
        arrays |= {f"gpu-constants:{k}": function.constants, f"gpu-ptx:{k}": np.frombuffer(function.ptx.encode(), np.uint8)}
    arrays["pages"], arrays["filled"] = _filled_pages(module.image)
    blob, places = bytearray(), {}
    for name, array in arrays.items():
        blob.extend(bytes(-len(blob) % 64))
        places[name] = {"offset": len(blob), "shape": array.shape, "dtype": np.lib.format.dtype_to_descr(array.dtype)}
        blob.extend(np.ascontiguousarray(array).tobytes())
    header = json.dumps({
        "name": module.name, "config": module.config.to_dict(), "fingerprint": module.config.fingerprint,
        "tensors": {k: [t.shape, t.dtype, t.scale, t.zero_point] for k, t in module.tensors.items()},
        "operators": [vars(o) for o in module.operators],
        "launches": [[launch.operators, launch.insn_address, launch.insn_count] for launch in module.launches],
        "functions": [[f.operators, f.symbol, f.inputs, f.outputs, f.arena_size] for f in module.functions],
        "gpu_functions": [[f.operators, f.inputs, f.outputs, f.arena_size, [list(vars(step).values()) for step in f.steps], f.architecture,
                           f.accepted] for f in module.gpu_functions],
        "memory_size": module.memory_size, "addresses": module.addresses, "inputs": module.inputs,
        "outputs": module.outputs, "options": module.options, "arrays": places, "packed": packed, "stored": stored,
        "image_size": module.image.size,
    }, default=_plain).encode()
    content = _PREFIX.pack(MAGIC, FORMAT_VERSION, len(header)) + header + bytes(blob)
    return content + hashlib.sha256(content).digest()


def _is_in_image(module: Module, name: str, role: str) -> bool:
    """Whether the constant can be had from the image, bit for bit."""
    constant = module.constants[name]
    if not can_unpack(role, constant):
        return False
    found = unpack_constant(role, module.image, module.addresses[name], constant.shape, module.config)
    return found.tobytes() == constant.tobytes()


def _filled_pages(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(uint8 [n, PAGE], int32 [n]): the pages that are not all 0, and their numbers. The last one is filled up."""
    pages = np.zeros((-(-image.size // PAGE), PAGE), np.uint8)
    pages.reshape(-1)[:image.size] = image
    filled = np.flatnonzero(pages.any(axis=1)).astype(np.int32)
    return pages[filled], filled


def _whole_image(pages: np.ndarray, filled: np.ndarray, size: int) -> np.ndarray:
    """What `_filled_pages` was made of."""
    image = np.zeros((-(-size // PAGE), PAGE), np.uint8)
    image[filled] = pages
    return image.reshape(-1)[:size]


def _plain(value):
    if isinstance(value, (np.integer, np.floating, np.bool_)):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no place in a module's header")


def _tuples(value):
    """JSON knows lists only; attributes are tuples."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    return {k: _tuples(v) for k, v in value.items()} if isinstance(value, dict) else value


def from_bytes(content: bytes, subject: str = "module") -> Module:
    """The module of these bytes. Raises as `Module.load`."""
    def refuse(rule: str, found: str, hint: str = "compile the model again"):
        raise WeftError(f"module {subject}", rule, found, hint)

    if content[:8] != MAGIC:
        refuse("a module begins with the bytes WEFTMOD", repr(content[:8]), "a file made by `weft compile`")
    if len(content) < _PREFIX.size + 32:
        refuse("a module holds a header and a checksum", f"{len(content)} bytes")
    _, version, header_length = _PREFIX.unpack_from(content)
    if version != FORMAT_VERSION:
        refuse(f"this weft reads format version {FORMAT_VERSION}", str(version), "compile the model again with this weft")
    if hashlib.sha256(content[:-32]).digest() != content[-32:]:
        refuse("a module's checksum must match its content", "a truncated or altered file")
    header = json.loads(content[_PREFIX.size:_PREFIX.size + header_length])
    blob = memoryview(content)[_PREFIX.size + header_length:-32]
    arrays = {}
    for name, place in header["arrays"].items():
        dtype = np.dtype([tuple(f) for f in place["dtype"]] if isinstance(place["dtype"], list) else place["dtype"])
        count = int(np.prod(place["shape"], dtype=np.int64))
        arrays[name] = np.frombuffer(blob, dtype, count, place["offset"]).reshape(place["shape"])
    image = _whole_image(arrays["pages"], arrays["filled"], header["image_size"])
    config = Config.from_dict(header["config"])
    if config.fingerprint != header["fingerprint"]:
        refuse("a module's config must have the fingerprint that it names", config.fingerprint)
    tensors = {k: TensorInfo(tuple(shape), *rest) for k, (shape, *rest) in header["tensors"].items()}
    constants = {k.removeprefix("constant:"): v for k, v in arrays.items() if k.startswith("constant:")}
    constants |= {name: unpack_constant(role, image, header["addresses"][name], tensors[name].shape, config)
                  for name, role in header["packed"].items()}
    functions = [CpuFunction(tuple(ops), symbol, tuple(inputs), tuple(outputs), size, arrays[f"cpu-constants:{k}"], arrays[f"cpu-layers:{k}"])
                 for k, (ops, symbol, inputs, outputs, size) in enumerate(header["functions"])]
    stored = {name: Stored(**{k: _tuples(v) for k, v in place.items()}) for name, place in header["stored"].items()}
    constants |= {name: place.read(functions[place.function].constants, tensors[name].dtype, tensors[name].shape)
                  for name, place in stored.items()}
    return Module(
        header["name"], config, tensors,
        [Operator(**{k: _tuples(v) for k, v in o.items()}) for o in header["operators"]],
        [Launch(tuple(ops), address, count, arrays[f"layers:{k}"]) for k, (ops, address, count) in enumerate(header["launches"])],
        constants, image, header["memory_size"], header["addresses"], header["inputs"], header["outputs"], header["options"],
        header["packed"],
        functions, _code(arrays), stored, [_gpu_function(f, arrays[f"gpu-constants:{k}"], arrays[f"gpu-ptx:{k}"].tobytes().decode())
                                           for k, f in enumerate(header["gpu_functions"])])


def _gpu_function(header: list, constants: np.ndarray, ptx: str) -> GpuFunction:
    operators, inputs, outputs, size, steps, architecture, accepted = header
    return GpuFunction(tuple(operators), inputs, outputs, size, constants, tuple(GpuStep(*_tuples(step)) for step in steps), ptx, architecture,
                       tuple(accepted))


def _code(arrays: dict[str, np.ndarray]) -> dict[str, dict[str, bytes]]:
    found: dict[str, dict[str, bytes]] = {}
    for name, array in arrays.items():
        if name.startswith("code:"):
            _, form, symbol = name.split(":", 2)
            found.setdefault(form, {})[symbol] = array.tobytes()
    return found
