"""From a model's file to a typed graph: `load(path)`. One module for each format."""

from collections.abc import Mapping
from pathlib import Path

from weft.isa import WeftError

from ..graph import Graph
from . import onnx, tflite

__all__ = ["load", "onnx", "tflite"]
TFLITE_IDENTIFIER = b"TFL3"


def load(path: str | Path, input_shapes: Mapping[str, tuple[int, ...]] | None = None) -> Graph:
    """The network of an ONNX or TFLite file; which of the two, its content says, and else its suffix.

    Parameters
    ----------
    input_shapes: sizes for inputs that the file leaves open, by name. An open batch, the first of several axes, is 1 without it.

    Raises
    ------
    WeftError: where the file cannot be read, is damaged, or holds what weft does not know; the message names the node.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeftError(f"model {path.name}", "a model must be a file that can be read", error.strerror or str(error),
                        "to check the path") from None
    if data[4:8] == TFLITE_IDENTIFIER or path.suffix == ".tflite":
        return tflite.load(data, path.stem, input_shapes)
    if path.suffix != ".onnx":
        raise WeftError(f"model {path.name}", "a model must be an ONNX or TFLite file", f"suffix '{path.suffix}'",
                        "to give the file the suffix .onnx or .tflite")
    return onnx.load(data, path.stem, input_shapes)
