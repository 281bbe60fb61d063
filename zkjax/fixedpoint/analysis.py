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
    Moment,
    OneHot,
    Paced,
    Positive,
    Product,
    PublicArray,
    Ratio,
    Reciprocal,
    Relu,
    Root,
    StateLeaf,
    Uniform,
    operands,
)
from zkjax.fixedpoint.step import Step

# What is made with few bits.
NARROW = (
    DataLeaf
    | Uniform
    | PublicArray
    | Relu
    | Gated
    | Function
    | Reciprocal
    | Ratio
    | Maximum
    | First
    | Positive
    | Bit
    | OneHot
)


@dataclass(frozen=True)
class Roles:
    """Node sets of a step.

    - `weights`: linear in the state, with nothing else; `data`: computed from data alone.
    - `rounded`: computed values that must be narrow.
    - `gating`: nodes whose sign gates; `gradients`: nodes that a gate multiplies.
    - `arguments`: nodes of which a table of a function is read; `logits`: nodes of which the largest entry is taken.
    - `divisors`: nodes that are divided by, which may have more bits than others.
    - `moving`: nodes that the means of an optimiser are of, or the means of their squares, or whose norm is taken.
    - `radicands`: nodes of which a root is taken, with the terms of their sums, and sums of a root and a constant that
      are divided by: wide, never rounded.
    - `rooted`: state leaves of which the step reads nothing but roots.
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
    moving: frozenset[int]
    radicands: frozenset[int]
    rooted: frozenset[str]
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
    moving: set[int] = set()
    radicands: set[int] = set()

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
                if is_wide(step, node):
                    radicands.add(node)
                else:
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
            case Ratio(numerator=numerator, divisor=divisor):
                if not isinstance(step.nodes[numerator], Moment | Uniform):
                    demand(numerator)
                radicands.add(divisor)
            case Root(node=node):
                radicands.add(node)
                parts = _terms(step, node)
                radicands.update(parts)
                for square in (squared(step, part) for part in parts if not step.nodes[part].shape):
                    if square is not None:
                        moving.add(demand(square))
            case Moment(node=node):
                moving.add(demand(squared(step, node) or node))
    for index in step.reporting:
        if isinstance(found := step.nodes[index], Maximum | First):
            node = origin(step, found.node)
            if node not in rounded and not isinstance(step.nodes[node], NARROW):
                logits.add(node)
    depends = _exact_dependence(step, rounded, weights)
    for change in step.changes.values():
        node = change.node
        if is_scaled(step, node):
            moving.add(demand(node))
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
        frozenset(moving),
        frozenset(radicands),
        _rooted(step),
        _losses(step, sorted(rounded - moving), moving),
    )


def is_wide(step: Step, node: int) -> bool:
    """Whether `node` is the sum of a root, which has many bits, and of constants."""
    return any(isinstance(step.nodes[part], Root) for part in _terms(step, node))


def is_scaled(step: Step, node: int) -> bool:
    """Whether `node` is a tensor times a computed scalar, as a gradient is that is clipped by its norm."""
    found = step.nodes[node]
    return isinstance(found, Product) and any(
        isinstance(step.nodes[factor], Ratio) and not step.nodes[factor].shape for factor in (found.left, found.right)
    )


def _terms(step: Step, node: int) -> list[int]:
    """What a sum is made of, through sums in sums; or the node alone."""
    found = step.nodes[node]
    if isinstance(found, Linear):
        return [part for _, index in found.terms for part in _terms(step, index)]
    return [node]


def squared(step: Step, node: int) -> int | None:
    """The node of which `node` is the square, entry by entry or summed over entries."""
    found = step.nodes[node]
    same = isinstance(found, Product) and (found.left, found.left_labels) == (found.right, found.right_labels)
    return found.left if same else None  # type: ignore[union-attr]


def _rooted(step: Step) -> frozenset[str]:
    """Leaves that take up squares, keep a part of themselves, and are read by moments of which roots are taken.

    A moment goes to its root as it is, or in a sum with others.
    """
    readers: dict[int, list[int]] = {}
    for index, node in enumerate(step.nodes):
        for operand in operands(node):
            readers.setdefault(operand, []).append(index)

    def goes_to_root(index: int) -> bool:
        found = step.nodes[index]
        through = isinstance(found, Linear | Moment) and index in readers
        return isinstance(found, Root) or (through and all(map(goes_to_root, readers[index])))

    found: set[str] = set()
    for name in step.state:
        moments = [
            index
            for index, node in enumerate(step.nodes)
            if isinstance(node, Moment) and name in {leaf for leaf, _ in node.kept}
        ]
        kept = step.kept[name].get(name)
        alone = set(step.kept[name]) == {name} and kept is not None and (kept.constant or -1) >= 0
        change = step.changes.get(name)
        square = change is not None and change.factor > 0 and squared(step, change.node) is not None
        if moments and alone and square and all(map(goes_to_root, moments)):
            found.add(name)
    return frozenset(found)


def _losses(step: Step, candidates: list[int], moving: set[int]) -> dict[int, frozenset[str]]:
    """For each candidate in which all gradients are linear, the leaves whose changes are; see `Roles.losses`.

    What an optimiser makes of the nodes `moving` is not asked: these are the gradients.
    """
    behind: set[int] = set()
    for index, inner in enumerate(step.nodes):
        if any(i in behind or i in moving for i in operands(inner)):
            behind.add(index)
    found = {}
    for node in candidates:
        degree = degrees(step, node)
        by_name = {name: degree[c.node] for name, c in step.changes.items() if c.node not in behind}
        if all(n in (0, 1) for n in (*by_name.values(), *(degree[gradient] for gradient in moving - behind))):
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
        elif isinstance(node, Function | Reciprocal | OneHot | Root | Ratio | Moment):
            degree = 0 if set(parts) == {0} else None
        else:
            degree = parts[0] if len(set(parts)) == 1 else None
        result.append(degree)
    return result
