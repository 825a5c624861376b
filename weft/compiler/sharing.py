"""Which tensors lie within others, so that what joins, cuts or renames them moves nothing: `shared(graph, buffers)`.

    view(y), made by the accelerator           is y
    concat(x, y) of whole blocks of channels   x and y lie in it, one behind the other
    slice(x) from a block of channels on       lies in x
    add(x, y), where x is not read again       takes the place of x

A tensor has one place, so it lies in one other at most; `graph_passes.joins` copies what would lie in two.
"""

from collections.abc import Mapping
from typing import NamedTuple

from weft.isa import Config
from weft.runtime.layout import activation_shape

from .arena import Buffer
from .graph import Graph, Node

# each value of the result depends on the same place of its inputs
IN_PLACE = ("add", "mul", "max", "min", "lut", "requantise")


class Within(NamedTuple):
    """In which tensor another one lies, and at which byte of it."""

    tensor: str
    offset: int


def joins(graph: Graph, node: Node, config: Config) -> bool:
    """Whether a concat's or a slice's tensors lie within one another: whole blocks of channels, of one block of images."""
    whole, block = node.outputs[0] if node.op == "concat" else node.inputs[0], config.block_out
    shape = graph.tensors[whole].shape
    if len(shape) not in (2, 4) or shape[0] > config.batch or graph.tensors[whole].dtype != "int8" \
            or not graph.tensors[whole].quantised or any(name in graph.constants for name in node.inputs):
        return False
    if node.op == "concat":
        return node.attrs["axis"] == 1 and all(graph.tensors[name].shape[1] % block == 0 for name in node.inputs[:-1])
    starts, ends, steps = (node.attrs[key] for key in ("starts", "ends", "steps"))
    others = [axis for axis in range(len(shape)) if axis != 1]
    return set(steps) == {1} and starts[1] % block == 0 and all((starts[k], ends[k]) == (0, shape[k]) for k in others)


def shared(graph: Graph, buffers: Mapping[str, Buffer], config: Config) -> dict[str, Within]:
    """For each tensor that lies within another one: where. Chains of these end at a tensor of its own."""
    made = {name for node in graph.nodes if node.where == "accel" for name in node.outputs}
    places: dict[str, Within] = {}
    for node in graph.nodes:
        output = node.outputs[0]
        if node.where == "view" and node.inputs[0] in made and output in buffers:
            places[output] = Within(node.inputs[0], 0)
        elif node.where == "accel" and node.op == "concat":
            offset = 0
            for name in node.inputs:
                assert name not in places, f"{name} lies in {places[name].tensor} already"
                places[name] = Within(output, offset)
                offset += buffers[name].size
        elif node.where == "accel" and node.op == "slice":
            *_, h, w, n, c = activation_shape(graph.tensors[node.inputs[0]].shape, config)
            places[output] = Within(node.inputs[0], node.attrs["starts"][1] // config.block_out * h * w * n * c)
    return places | _in_place(graph, buffers, places)


def _in_place(graph: Graph, buffers: Mapping[str, Buffer], places: Mapping[str, Within]) -> dict[str, Within]:
    """Results that take the place of an input which nobody reads later."""
    busy = {*places, *(within.tensor for within in places.values())}
    found: dict[str, Within] = {}
    for position, node in enumerate(graph.nodes):
        if node.where != "accel" or node.op not in IN_PLACE or node.outputs[0] in places:
            continue
        target = buffers[node.outputs[0]]
        for name in node.inputs:
            source = buffers[name]
            if name not in busy and (source.role, source.shape, source.last) == ("activation", target.shape, position):
                found[target.name] = Within(name, 0)
                break
    return found


def grounded(places: Mapping[str, Within], name: str) -> Within:
    """The tensor of its own in which `name` lies, and where."""
    offset = 0
    while name in places:
        name, step = places[name]
        offset += step
    return Within(name, offset)
