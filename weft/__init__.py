"""weft: a co-design toolkit for a VTA-class tensor accelerator.

>>> import weft
>>> module = weft.compile("model.onnx")                  # doctest: +SKIP
>>> outputs, report = module.run(x, device="rtl")        # doctest: +SKIP
"""

from weft.isa import Config, WeftError, load_config
from weft.runtime.device import DEVICES
from weft.runtime.module import Module

__version__ = "0.1.0"
__all__ = ["Config", "Module", "WeftError", "compile", "export_board", "export_device", "export_library", "load", "load_config"]


def _functional(config, **options):
    from weft.sim.functional import FunctionalDevice

    return FunctionalDevice(config, **options)


def _reference(config, **options):
    from weft.sim.reference import ReferenceDevice

    return ReferenceDevice(config, **options)


def _rtl(config, **options):
    from weft.sim.rtl import RtlDevice

    return RtlDevice(config, **options)


def _timing(config, **options):
    from weft.sim.timing import TimingDevice

    return TimingDevice(config, **options)


DEVICES.update(functional=_functional, reference=_reference, rtl=_rtl, timing=_timing)


def compile(model, config="default", **options) -> Module:
    """A module from a model (ONNX QDQ, TFLite int8, torch.export); see `weft.compiler.pipeline.compile`."""
    from weft.compiler.pipeline import compile

    return compile(model, load_config(config), **options)


def load(path) -> Module:
    """A module from the file that `Module.save` wrote."""
    return Module.load(path)


def export_library(module, path, **options) -> None:
    """A network as a library for C, with its header beside it; see `weft.export.network.export_library`."""
    from weft.export import export_library

    export_library(module, path, **options)


def export_device(path, config="default", **options) -> None:
    """The functional device as a library for C; see `weft.export.functional.export_device`."""
    from weft.export import export_device

    export_device(path, load_config(config), **options)


def export_board(path, **options) -> None:
    """The device of a board as a library for C; see `weft.export.board.export_board`."""
    from weft.export import export_board

    export_board(path, **options)
