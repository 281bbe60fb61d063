"""Builds a circuit node by node, with its recipes.

The builder knows the non-linear gadgets: rescaling by a virtual remainder, range checks by limbs,
the zkReLU tuple and the gated gradient. Equal virtual nodes and equal lookups are shared.

Nodes are made in the order in which a step computes them, in which the weights come before the
gradients that move them. `deferred` stands for such a tensor until `bind` says what it is;
`finish` sorts the nodes so that each reads earlier ones only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import prod

import numpy as np

from zkjax.circuit.program import Lowered
from zkjax.circuit.recipes import (
    Gated,
    Quotient,
    Recipe,
    ReluGate,
    ReluOutput,
    RemainderLimb,
    ValueLimb,
    reads,
    renumbered,
)
from zkjax.statement.circuit import (
    Axes,
    Circuit,
    Combine,
    Committed,
    Constant,
    Contract,
    Filter,
    Lookup,
    Node,
    Output,
    Public,
    Rows,
    operands,
)
from zkjax.statement.filters import Rows as Matrix
from zkjax.statement.filters import earlier
from zkjax.statement.tables import MAX_TABLE_BITS, Table

LIMB_BITS = 16


def limb_widths(bits: int, entries: int) -> list[int]:
    """Widths of the limbs, lowest first, of `bits` bits of a tensor of so many entries.

    Limbs have LIMB_BITS, but are wider where that saves one, a lookup of every entry, and the table has
    no more rows than the tensor has entries.
    """
    widest = max(LIMB_BITS, min(MAX_TABLE_BITS, entries.bit_length() - 1))
    count, fewest = -(-bits // LIMB_BITS), -(-bits // widest)
    width = LIMB_BITS if fewest == count else -(-bits // fewest)
    return [min(width, bits - offset) for offset in range(0, bits, width)]


@dataclass(frozen=True)
class _Deferred:
    """Placeholder of a virtual tensor that `bind` defines later."""

    shape: tuple[int, ...]
    label: str


class CircuitBuilder:
    """Mutable builder; `finish` returns the checked, immutable circuit with its recipes.

    Node arguments and results are node indices.
    """

    def __init__(self, *, steps: int, batch: int, rows: int):
        self.steps, self.batch, self.rows_of_data = steps, batch, rows
        self.nodes: list[Node | _Deferred] = []
        self.tables: list[Table] = []
        self.lookups: list[Lookup] = []
        self.zeros: list[int] = []
        self.remarks: list[str] = []
        self.outputs: list[Output] = []
        self.recipes: dict[int, Recipe] = {}
        self._known: dict[Node | _Deferred, int] = {}
        self._bound: dict[int, int] = {}

    def shape(self, node: int) -> tuple[int, ...]:
        return self.nodes[node].shape

    def add(self, node: Node | _Deferred) -> int:
        """Index of `node`, shared with an equal earlier one."""
        if node not in self._known:
            self._known[node] = len(self.nodes)
            self.nodes.append(node)
        return self._known[node]

    def deferred(self, label: str, shape: Sequence[int]) -> int:
        """A virtual tensor to be defined by `bind` before `finish`; `label` is unique."""
        return self.add(_Deferred(tuple(shape), label))

    def bind(self, deferred: int, node: int) -> None:
        """Define a deferred tensor as `node`, of the same shape."""
        if self.shape(deferred) != self.shape(node):
            raise ValueError(f"{self.nodes[deferred]} bound to a node of shape {self.shape(node)}")
        self._bound[deferred] = node

    def committed(
        self, name: str, shape: Sequence[int], *, oracle: str, fraction_bits: int = 0, recipe: Recipe | None = None
    ) -> int:
        index = self.add(Committed(tuple(shape), oracle, name, fraction_bits))
        if recipe is not None:
            self.recipes[index] = recipe
        return index

    def constant(self, shape: Sequence[int], value: int) -> int:
        return self.add(Constant(tuple(shape), value))

    def public(self, values: np.ndarray) -> int:
        """A tensor of public integers; PublicTensorError if they are too far apart."""
        return self.add(Public.of(values))

    @property
    def public_text(self) -> int:
        """Number of characters that all public tensors take in the encoding of the circuit."""
        return sum(len(node.entries) for node in self.nodes if isinstance(node, Public))

    def combine(self, *terms: tuple[int, int]) -> int:
        """Sum of (coefficient, node) terms; nested combinations are flattened, equal nodes merged."""
        merged: dict[int, int] = {}
        for coefficient, node in terms:
            inner = self.nodes[node]
            parts = inner.terms if isinstance(inner, Combine) else ((1, node),)
            for factor, operand in parts:
                merged[operand] = merged.get(operand, 0) + coefficient * factor
        left = tuple((coefficient, node) for node, coefficient in sorted(merged.items()) if coefficient)
        shape = self.shape(terms[0][1])
        if not left:
            return self.constant(shape, 0)
        if len(left) == 1 and left[0][0] == 1:
            return left[0][1]
        return self.add(Combine(shape, left))

    def axes(self, node: int, source: Sequence[int], shape: Sequence[int]) -> int:
        source, shape = tuple(source), tuple(shape)
        if source == tuple(range(len(self.shape(node)))):
            return node
        return self.add(Axes(shape, node, source))

    def rows(self, node: int) -> int:
        return self.add(Rows((self.steps, self.batch, *self.shape(node)[1:]), node))

    def before(self, node: int) -> int:
        """Sum over earlier steps."""
        return self.filter(node, earlier(self.shape(node)[0]))

    def filter(self, node: int, rows: Matrix) -> int:
        """A public matrix along the leading axis; its rows become that axis."""
        return self.add(Filter((len(rows), *self.shape(node)[1:]), node, rows))

    def contract(self, left: int, right: int, spec: str) -> int:
        """Bilinear contraction by an einsum specification, e.g. 'tni,tio->tno'."""
        inputs, out = spec.split("->")
        left_labels, right_labels = inputs.split(",")
        number = {letter: index for index, letter in enumerate(dict.fromkeys(left_labels + right_labels))}
        sizes = dict(zip(left_labels, self.shape(left), strict=True))
        sizes |= dict(zip(right_labels, self.shape(right), strict=True))
        return self.add(
            Contract(
                tuple(sizes[letter] for letter in out),
                left,
                right,
                tuple(number[letter] for letter in left_labels),
                tuple(number[letter] for letter in right_labels),
                tuple(number[letter] for letter in out),
            )
        )

    def table(self, kind: str, lo: int, hi: int, limit: int = 0) -> int:
        return self.shared(Table(kind, lo, hi, limit))

    def shared(self, table: Table) -> int:
        """Number of `table`, one for all its lookups."""
        if table not in self.tables:
            self.tables.append(table)
        return self.tables.index(table)

    def range_check(self, node: int, lo: int, hi: int, name: str) -> None:
        """lo <= node <= hi by one lookup."""
        lookup = Lookup(self.table("range", lo, hi), node, -1, -1, name)
        if lookup not in self.lookups:
            self.lookups.append(lookup)

    def rescale(self, node: int, shift: int, name: str, *, oracle: str = "advice", fraction_bits: int = 0) -> int:
        """Quotient of `node` by 2**shift, rounded; remainder limbs committed but for the lowest.

        The caller must range-check the quotient: the gadget alone ties it to `node` only up to its
        range. `shift` >= 1.
        """
        quotient = self.committed(
            name, self.shape(node), oracle=oracle, fraction_bits=fraction_bits, recipe=Quotient(node, shift)
        )
        self._check_remainder(node, quotient, shift, name if oracle == "advice" else f"{oracle}/{name}")
        return quotient

    def _check_remainder(self, node: int, quotient: int, shift: int, name: str) -> None:
        """0 <= node + 2**(shift - 1) - 2**shift * quotient < 2**shift, by limbs of exact widths."""
        shape = self.shape(node)
        terms = [(1, node), (1, self.constant(shape, 1 << (shift - 1))), (-(1 << shift), quotient)]
        lowest, *others = limb_widths(shift, prod(shape))
        for offset, width in zip(accumulate([lowest, *others]), others, strict=False):
            limb_name = f"{name}/remainder[{offset}:{offset + width}]"
            recipe = RemainderLimb(node, shift, offset, width)
            limb = self.committed(limb_name, shape, oracle="advice", recipe=recipe)
            self.range_check(limb, 0, (1 << width) - 1, limb_name)
            terms.append((-(1 << offset), limb))
        self.range_check(self.combine(*terms), 0, (1 << lowest) - 1, f"{name}/remainder[0:{lowest}]")

    def signed_range(self, node: int, bits: int, name: str) -> None:
        """-2**bits <= node < 2**bits, by one lookup or by limbs; `node` is committed."""
        shape, bias = self.shape(node), 1 << bits
        lowest, *others = limb_widths(bits + 1, prod(shape))
        if not others:
            self.range_check(node, -bias, bias - 1, f"{name}/range")
            return
        terms = [(1, node), (1, self.constant(shape, bias))]
        for offset, width in zip(accumulate([lowest, *others]), others, strict=False):
            limb_name = f"{name}/limb[{offset}:{offset + width}]"
            recipe = ValueLimb(node, bias, offset, width)
            limb = self.committed(limb_name, shape, oracle="advice", recipe=recipe)
            self.range_check(limb, 0, (1 << width) - 1, limb_name)
            terms.append((-(1 << offset), limb))
        self.range_check(self.combine(*terms), 0, (1 << lowest) - 1, f"{name}/limb[0:{lowest}]")

    def unsigned_range(self, node: int, bits: int, name: str) -> None:
        """0 <= node < 2**bits, by one lookup or by limbs; `node` may be virtual."""
        shape = self.shape(node)
        lowest, *others = limb_widths(bits, prod(shape))
        terms = [(1, node)]
        for offset, width in zip(accumulate([lowest, *others]), others, strict=False):
            limb_name = f"{name}[{offset}:{offset + width}]"
            limb = self.committed(limb_name, shape, oracle="advice", recipe=ValueLimb(node, 0, offset, width))
            self.range_check(limb, 0, (1 << width) - 1, limb_name)
            terms.append((-(1 << offset), limb))
        self.range_check(self.combine(*terms), 0, (1 << lowest) - 1, f"{name}[0:{lowest}]")

    def relu(self, quotient: int, *, lo: int, hi: int, limit: int, name: str) -> tuple[int, int]:
        """(output, gate) of the zkReLU tuple; also range-checks `quotient` to [lo, hi]."""
        shape = self.shape(quotient)
        gate = self.committed(f"{name}/gate", shape, oracle="advice", recipe=ReluGate(quotient, limit))
        output = self.committed(f"{name}/output", shape, oracle="advice", recipe=ReluOutput(quotient, limit))
        self.lookups.append(Lookup(self.table("relu", lo, hi, limit), quotient, gate, output, f"{name}/relu"))
        return output, gate

    def gated(self, quotient: int, gate: int, *, lo: int, hi: int, limit: int, name: str) -> int:
        """gate * clip(quotient) as a committed tensor; also range-checks `quotient` to [lo, hi]."""
        recipe = Gated(quotient, gate, limit)
        output = self.committed(f"{name}/gated", self.shape(quotient), oracle="advice", recipe=recipe)
        self.lookups.append(Lookup(self.table("gated", lo, hi, limit), quotient, gate, output, f"{name}/gated"))
        return output

    def state_before(self, name: str, shape: Sequence[int], *, fraction_bits: int, bits: int) -> int:
        """A state leaf at the start of the block, |value| <= 2**bits in units of 2**-fraction_bits."""
        node = self.committed(name, shape, oracle="before", fraction_bits=fraction_bits)
        self.signed_range(node, bits, f"before/{name}")
        return node

    def state_after(self, name: str, node: int, shift: int, *, fraction_bits: int, bits: int) -> int:
        """The state leaf after the block: `node` rounded by 2**shift and range-checked."""
        if shift == 0:
            after = self.committed(
                name, self.shape(node), oracle="after", fraction_bits=fraction_bits, recipe=Quotient(node, 0)
            )
            self.zeros.append(self.combine((1, node), (-1, after)))
        else:
            after = self.rescale(node, shift, name, oracle="after", fraction_bits=fraction_bits)
        self.signed_range(after, bits, f"after/{name}")
        return after

    def finish(self) -> Lowered:
        """The circuit, sorted and legal (CircuitError otherwise), with recipes for its numbering.

        Ranges are checked by `statement.ranges.check_ranges`.
        """
        order = self._sorted()
        number = {old: new for new, old in enumerate(order)}
        resolved = {deferred: self._resolved(deferred) for deferred in self._bound}
        number |= {deferred: number[node] for deferred, node in resolved.items() if node in number}
        circuit = Circuit(
            steps=self.steps,
            batch=self.batch,
            rows=self.rows_of_data,
            nodes=tuple(_renumbered(self.nodes[old], number) for old in order),
            tables=tuple(self.tables),
            lookups=tuple(
                replace(
                    lookup,
                    re=number[lookup.re],
                    im=number.get(lookup.im, -1),
                    second=number.get(lookup.second, -1),
                )
                for lookup in self.lookups
            ),
            zeros=tuple(number[node] for node in self.zeros),
            remarks=tuple(self.remarks),
            outputs=tuple(replace(output, node=number[output.node]) for output in self.outputs),
        )
        circuit.check()
        recipes = {number[node]: renumbered(recipe, number) for node, recipe in self.recipes.items()}
        return Lowered(circuit, recipes)

    def _resolved(self, node: int) -> int:
        while isinstance(self.nodes[node], _Deferred):
            if node not in self._bound:
                raise ValueError(f"{self.nodes[node]} was never bound")
            node = self._bound[node]
        return node

    def _sorted(self) -> list[int]:
        """All nodes that lookups, zeros, outputs, recipes or commitments reach, operands first."""
        roots = [node for lookup in self.lookups for node in lookup.coordinates] + self.zeros
        roots += [node for recipe in self.recipes.values() for node in reads(recipe)]
        roots += [output.node for output in self.outputs]
        roots += [index for index, node in enumerate(self.nodes) if isinstance(node, Committed)]
        order: list[int] = []
        done: set[int] = set()
        open_nodes: set[int] = set()
        for root in sorted(set(map(self._resolved, roots))):
            stack = [(root, False)]
            while stack:
                node, finished = stack.pop()
                if finished:
                    open_nodes.discard(node)
                    done.add(node)
                    order.append(node)
                elif node not in done:
                    if node in open_nodes:
                        raise ValueError(f"node {self.nodes[node]} depends on itself")
                    open_nodes.add(node)
                    stack.append((node, True))
                    stack += [(self._resolved(operand), False) for operand in reversed(operands(self.nodes[node]))]  # type: ignore[arg-type]
        return order


def _renumbered(node: Node | _Deferred, number: dict[int, int]) -> Node:
    match node:
        case Combine(terms=terms):
            merged: dict[int, int] = {}
            for coefficient, operand in terms:
                merged[number[operand]] = merged.get(number[operand], 0) + coefficient
            left = tuple((c, operand) for operand, c in sorted(merged.items()) if c)
            return replace(node, terms=left) if left else Constant(node.shape, 0)
        case Axes() | Rows() | Filter():
            return replace(node, node=number[node.node])
        case Contract():
            return replace(node, left=number[node.left], right=number[node.right])
        case _:
            return node  # type: ignore[return-value]
