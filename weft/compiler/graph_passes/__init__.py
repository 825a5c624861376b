"""From the imported graph to the placed one, pass by pass: `run(graph, config)`.

A pass is a frozen dataclass with a name; its fields are its options. It changes the graph that it is given.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from weft.isa import Config

from ..graph import Graph
from .absorb_quantisation import AbsorbQuantisation
from .canonicalise import Canonicalise
from .fold_constants import FoldConstants
from .fold_norms import FoldNorms
from .fold_pads import FoldPads
from .fuse_activations import FuseActivations
from .fuse_chains import FuseChains
from .fuse_clamps import FuseClamps
from .fuse_products import FuseProducts
from .fuse_sums import FuseSums
from .functions import Functions
from .gather_input import GatherInput
from .joins import Joins
from .layout import Layout
from .legalise import Legalise
from .order import Order
from .place import Place
from .place_cpu import PlaceCpu
from .place_gpu import PlaceGpu
from .select import Select
from .split_transposed import SplitTransposed
from .tables import FuseTables
from .two_axes import TwoAxes
from .views import Views
from .widen_groups import WidenGroups

__all__ = ["PASSES", "AbsorbQuantisation", "Canonicalise", "FoldConstants", "FoldNorms", "FoldPads", "FuseActivations",
           "FuseChains", "FuseClamps", "FuseProducts", "FuseSums", "FuseTables", "Functions", "GatherInput", "Joins",
           "Layout", "Legalise", "Order", "Pass", "Place", "PlaceCpu", "PlaceGpu", "Select", "SplitTransposed", "TwoAxes",
           "Views", "WidenGroups", "for_targets", "run"]


class Pass(Protocol):
    """A step of the compilation of graphs."""

    name: str

    def __call__(self, graph: Graph, config: Config) -> None:
        """Changes the graph. WeftError where it holds what cannot be compiled."""


PASSES: tuple[Pass, ...] = (
    FoldConstants(), Canonicalise(), FuseActivations(), AbsorbQuantisation(), Functions(), TwoAxes(), Layout(), Legalise(),
    FoldPads(), Select(), FuseClamps(), FuseTables(), WidenGroups(), FoldConstants("fold-real-constants", dequantise=True),
    Joins(), Place(), Views(), Order(), FuseSums(), GatherInput(),
)
ALONE: tuple[Pass, ...] = (  # what CPUs and GPUs without the accelerator have in common
    FoldConstants(), Canonicalise(), FoldNorms(), FuseActivations(), AbsorbQuantisation(), Functions(), TwoAxes(), Layout(),
    Legalise(), FoldPads(), FuseClamps(), FuseTables(), WidenGroups(), FoldConstants("fold-real-constants", dequantise=True),
    SplitTransposed(), FuseProducts(),
)
CPU_ALONE: tuple[Pass, ...] = (*ALONE, PlaceCpu(alone=True), FuseChains(), Order(), FuseSums(where="cpu"))
GPU_ALONE: tuple[Pass, ...] = (*ALONE, PlaceGpu(alone=True), Order(), FuseSums(where="gpu"))


def for_targets(targets: Sequence[str]) -> tuple[Pass, ...]:
    """The passes for what `targets.parse` returned."""
    if "accel" not in targets:
        return GPU_ALONE if "gpu" in targets else CPU_ALONE
    others = (("cpu", (PlaceCpu(), FuseChains())), ("gpu", (PlaceGpu(),)))
    return (*PASSES, *(each for name, passes in others if name in targets for each in passes))


def run(graph: Graph, config: Config, after: Callable[[str, Graph], None] = lambda name, graph: None,
        passes: Sequence[Pass] = PASSES) -> Graph:
    """The graph that the passes make of `graph`, which is left as it was.

    Parameters
    ----------
    after: called with each pass's name and the graph after it, which it must not change; for printing and tests.

    Raises
    ------
    WeftError: for a network that cannot be compiled; the message names the node.
    """
    for each in passes:
        graph = graph.copy()
        each(graph, config)
        graph.prune()
        graph.validate()
        after(each.name, graph)
    return graph
