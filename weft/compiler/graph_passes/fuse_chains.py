"""Operators of real numbers that follow one another point by point become one on the CPU, so that each value is stored once.

A node takes those before it into its chain that make tensors of its shape which nobody outside of the chain reads.
"""

from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ..graph import Graph, Node

LARGEST = 60  # steps of a chain; one whose value is read twice counts twice, with all that it reads


@dataclass(frozen=True)
class FuseChains:
    name: ClassVar[str] = "fuse-chains"

    def __call__(self, graph: Graph, config: Config) -> None:
        from ..cpu.operators.real import DEFINITIONS  # brings LLVM along

        taken: set[int] = set()
        for node in reversed(graph.nodes):
            if id(node) not in taken and _fits(node, DEFINITIONS):
                chain = _grown(graph, node, DEFINITIONS)
                if len(chain) > 1:
                    taken |= {id(one) for one in chain}
                    _become(graph, node, chain)


def _fits(node: Node, ops) -> bool:
    return node.where == "cpu" and node.op in ops and len(node.outputs) == 1 and all(node.inputs)


def _grown(graph: Graph, last: Node, ops) -> list[Node]:
    """The nodes of the chain that ends with this one, in the graph's order."""
    shape, consumers, producers = graph.tensors[last.outputs[0]].shape, graph.consumers(), graph.producers()
    uses, chain, grown = {id(last): 1}, [last], True
    while grown:
        grown = False
        for name in dict.fromkeys(name for node in chain for name in node.inputs):
            maker = producers.get(name)
            if maker is None or id(maker) in uses or not _fits(maker, ops) or graph.tensors[name].shape != shape:
                continue
            if name in graph.outputs or any(id(reader) not in uses for reader in consumers[name]):
                continue
            more = sum(uses[id(reader)] for reader in consumers[name])
            if sum(uses.values()) + more <= LARGEST:
                uses[id(maker)] = more
                chain.append(maker)
                grown = True
                break
    return [node for node in graph.nodes if any(node is one for one in chain)]


def _become(graph: Graph, last: Node, chain: list[Node]) -> None:
    made = {node.outputs[0]: k for k, node in enumerate(chain)}
    outside = list(dict.fromkeys(name for node in chain for name in node.inputs if name not in made))
    number = {name: k for k, name in enumerate(outside)} | {name: len(outside) + k for name, k in made.items()}
    steps = tuple({"op": node.op, "attrs": node.attrs, "inputs": tuple(number[name] for name in node.inputs)}
                  for node in chain)
    gone = {id(node) for node in chain if node is not last}
    graph.nodes = [node for node in graph.nodes if id(node) not in gone]
    last.op, last.attrs, last.inputs = "chain", {"steps": steps}, outside
