"""From a model to a typed graph: `load(model)`. One module for each format."""

from collections.abc import Mapping
from pathlib import Path

from weft.isa import WeftError

from ..graph import Graph
from . import onnx, tflite, torch_export

__all__ = ["load", "onnx", "tflite", "torch_export"]
TFLITE_IDENTIFIER = b"TFL3"


def load(model, input_shapes: Mapping[str, tuple[int, ...]] | None = None) -> Graph:
    """The network of an ONNX or TFLite file, as its content and its suffix say, or of PyTorch.

    Parameters
    ----------
    model: a path; PyTorch's are files of torch.export.save (.pt2). Or a torch.export.ExportedProgram, or a pair of a
        torch.nn.Module and the tuple of its example inputs.
    input_shapes: sizes for inputs that the file leaves open, by name. An open batch, the first of several axes, is 1 without
        it.

    Raises
    ------
    WeftError: where the file cannot be read, is damaged, or holds what weft does not know; the message names the node.
    """
    if torch_export.is_torch(model):
        return torch_export.load(model)
    path = Path(model)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeftError(f"model {path.name}", "a model must be a file that can be read", error.strerror or str(error),
                        "to check the path") from None
    if data[4:8] == TFLITE_IDENTIFIER or path.suffix == ".tflite":
        return tflite.load(data, path.stem, input_shapes)
    if path.suffix == ".pt2":
        return torch_export.load(path)
    if path.suffix != ".onnx":
        raise WeftError(f"model {path.name}", "a model must be an ONNX, TFLite or torch.export file",
                        f"suffix '{path.suffix}'",
                        "to give the file the suffix .onnx, .tflite or .pt2")
    return onnx.load(data, path.stem, input_shapes)
