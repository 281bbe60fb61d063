"""What the shape of a step decides, before any format: where values are rounded, and what scales.

Weights enter products exactly. Every other factor of a product, and every input of the rectifier
or its gate, must be *narrow*: of few magnitude bits. A computed value that is used so is rounded
once, where it is made, and all its uses read the rounded one.
"""

from __future__ import annotations

from dataclasses import dataclass

from zkjax.errors import UserError
from zkjax.fixedpoint.nodes import (
    Axes,
    Bit,
    DataLeaf,
    First,
    Function,
    Gated,
    Linear,
    Maximum,
    OneHot,
    Paced,
    Positive,
    Product,
    PublicArray,
    Reciprocal,
    Relu,
    StateLeaf,
    Uniform,
    operands,
)
from zkjax.fixedpoint.step import Step

# What is made with few bits.
NARROW = (
    DataLeaf | Uniform | PublicArray | Relu | Gated | Function | Reciprocal | Maximum | First | Positive | Bit | OneHot
)


@dataclass(frozen=True)
class Roles:
    """Node sets of a step.

    - `weights`: linear in the state, with nothing else; `data`: computed from data alone.
    - `rounded`: computed values that must be narrow.
    - `gating`: nodes whose sign gates; `gradients`: nodes that a gate multiplies.
    - `arguments`: nodes of which a table of a function is read; `logits`: nodes of which the largest entry is taken.
    - `divisors`: nodes that are divided by, which may have more bits than others.
    - `losses`: rounded nodes in which every change of the state is linear or constant, as in the
      gradient of the loss; for each, the state leaves whose changes are linear in it.

    What only outputs read is in none of them, but for `logits`: their nodes are rounded where they are lowered.
    """

    weights: frozenset[int]
    data: frozenset[int]
    rounded: frozenset[int]
    gating: frozenset[int]
    gradients: frozenset[int]
    arguments: frozenset[int]
    logits: frozenset[int]
    divisors: frozenset[int]
    losses: dict[int, frozenset[str]]


def is_rearranged(step: Step, node: int) -> bool:
    """Whether the node is a transpose or broadcast of another, without sums."""
    found = step.nodes[node]
    return isinstance(found, Axes) and len(set(found.source) - {-1}) == len(step.nodes[found.node].shape)


def origin(step: Step, node: int) -> int:
    """The node behind transposes, broadcasts and a change of sign: rounding commutes with them."""
    while True:
        found = step.nodes[node]
        if is_rearranged(step, node):
            node = found.node  # type: ignore[union-attr]
        elif isinstance(found, Linear) and len(found.terms) == 1 and found.terms[0][0] == -1:
            node = found.terms[0][1]
        else:
            return node


def _is_mask(step: Step, node: int) -> bool:
    """Whether a node is public and 0 or 1 everywhere: a product with it needs no more bits than its other factor."""
    found = step.nodes[node]
    while isinstance(found, Axes) and is_rearranged(step, node):
        node, found = found.node, step.nodes[found.node]
    return isinstance(found, PublicArray) and found.binary


def roles(step: Step) -> Roles:
    """Raises UserError for a product of two weights."""
    weights: set[int] = set()
    data: set[int] = set()
    rounded: set[int] = set()
    gating: set[int] = set()
    gradients: set[int] = set()
    arguments: set[int] = set()
    logits: set[int] = set()
    divisors: set[int] = set()

    def demand(node: int) -> int:
        """Mark what has to be rounded so that `node` is narrow; the marked node or its origin."""
        node = origin(step, node)
        if not isinstance(step.nodes[node], NARROW):
            rounded.add(node)
        return node

    for index, found in enumerate(step.nodes):
        inner = [i for i in operands(found) if not isinstance(step.nodes[i], Uniform)]
        if isinstance(found, DataLeaf) or (inner and data.issuperset(inner)):
            data.add(index)
        if index in step.reporting and not isinstance(found, Axes | Linear | Paced):
            continue
        match found:
            case StateLeaf():
                weights.add(index)
            case Axes() | Linear() | Paced():
                if inner and weights.issuperset(inner):
                    weights.add(index)
            case Product(left=left, right=right):
                if left in weights and right in weights:
                    raise UserError(
                        f"a product of two weights at {step.lines[index]}: products must have a "
                        "factor that comes from the data"
                    )
                masked = [other for mask, other in ((left, right), (right, left)) if _is_mask(step, mask)]
                if masked and found.shape == step.nodes[masked[0]].shape:
                    if masked[0] in weights:
                        weights.add(index)
                    continue
                for factor in (left, right):
                    if factor not in weights:
                        demand(factor)
            case Relu(node=node):
                gating.add(demand(node))
            case Gated(gate=gate, node=node):
                gating.add(demand(gate))
                gradients.add(demand(node))
            case Function(node=node):
                arguments.add(demand(node))
            case Maximum(node=node) | First(node=node):
                logits.add(demand(node))
            case Reciprocal(node=node):
                divisors.add(demand(node))
    for index in step.reporting:
        if isinstance(found := step.nodes[index], Maximum | First):
            node = origin(step, found.node)
            if node not in rounded and not isinstance(step.nodes[node], NARROW):
                logits.add(node)
    depends = _exact_dependence(step, rounded, weights)
    for change in step.changes.values():
        node = change.node
        if node in depends:
            while isinstance(found := step.nodes[node], Axes):
                node = found.node
            rounded.add(node)
    return Roles(
        frozenset(weights),
        frozenset(data),
        frozenset(rounded),
        frozenset(gating),
        frozenset(gradients),
        frozenset(arguments),
        frozenset(logits),
        frozenset(divisors),
        _losses(step, sorted(rounded)),
    )


def _losses(step: Step, candidates: list[int]) -> dict[int, frozenset[str]]:
    found = {}
    for node in candidates:
        degree = degrees(step, node)
        by_name = {name: degree[change.node] for name, change in step.changes.items()}
        if all(n in (0, 1) for n in by_name.values()):
            found[node] = frozenset(name for name, n in by_name.items() if n == 1)
    return found


def _exact_dependence(step: Step, rounded: set[int], weights: set[int]) -> set[int]:
    """Nodes that depend on the state without a rounding between."""
    found = set(weights)
    for index, node in enumerate(step.nodes):
        linear = isinstance(node, Linear | Axes | Paced | Product)
        if linear and any(i in found and i not in rounded for i in operands(node)):
            found.add(index)
    return found - rounded


def degrees(step: Step, seed: int) -> list[int | None]:
    """For every node the n with: scaling `seed` by c > 0 scales the node by c**n; None if no n.

    Only what is computed from `seed` changes; the nodes that `seed` is computed from have degree 0.
    """
    result: list[int | None] = []
    for index, node in enumerate(step.nodes):
        parts = [result[i] for i in operands(node)]
        degree: int | None
        if index == seed:
            degree = 1
        elif not parts:
            degree = 0
        elif None in parts:
            degree = None
        elif isinstance(node, Product):
            degree = sum(parts)  # type: ignore[arg-type]
        elif isinstance(node, Gated):
            degree = parts[1]
        elif isinstance(node, First | Positive):
            degree = 0 if parts[0] is not None else None
        elif isinstance(node, Function | Reciprocal | OneHot):
            degree = 0 if parts[0] == 0 else None
        else:
            degree = parts[0] if len(set(parts)) == 1 else None
        result.append(degree)
    return result
