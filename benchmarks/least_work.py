"""How much work each phase of a proof needs at least, read off its plan.

What is counted are field multiplications, float64 multiply-adds, hashed bytes and the traffic of
tables that are too large for a cache. What is not: additions, reductions, tables of a few thousand
entries, the transcript, uniform randomness, everything whose size is that of the circuit. So these
are lower bounds for the algorithms in use, not for the problem.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from math import prod

from zkjax.statement.circuit import Axes, Circuit, Combine, Contract, Filter, Rows
from zkjax.statement.claims import Instance
from zkjax.statement.layout import EXTRA_ADVICE_ROWS, axis_bits
from zkjax.statement.parameters import (
    COMBINATION_GRINDING_BITS,
    DIGEST_BYTES,
    ELEMENT_BYTES,
    LOOKUP_GRINDING_BITS,
    OPENING_GRINDING_BITS,
    SALT_BYTES,
)
from zkjax.statement.phases import delay_bytes
from zkjax.statement.plan import LookupClass, Plan

HASH_BLOCK = 64
# A nonce is tried by one hash of a state, a label and the nonce: two blocks.
TRIAL_BYTES = 2 * HASH_BLOCK
# A weight of 61 bits takes at least two limbs of a float64, each of its two planes.
FLOATS_PER_WEIGHT = 4
# Marks an axis that is summed without weights.
ONES = "ones"


@dataclass(frozen=True)
class Work:
    """`extension`: multiplications over K. `floats`: float64 multiply-adds. `hashed` and `hashed_in_order`:
    bytes of SHA-256 blocks, on any core and on one. `moved`: bytes read from and written to memory."""

    extension: int = 0
    floats: int = 0
    hashed: int = 0
    hashed_in_order: int = 0
    moved: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def phases(plan: Plan, instances: Sequence[Instance], widths: Mapping[int, int]) -> dict[str, Work]:
    """The phases of a block in a chain.

    `instances` are the claims on contractions, as the verifier meets them; `widths` are the bytes of an
    entry of each node that the witness stores.
    """
    after = plan.layout.oracle("after")
    return {
        "witness": witness(plan.circuit, widths),
        "commitment to the weights after": oracle(plan, after.rows),
        "commitment to the advice": advice(plan, widths),
        "lookups": lookups(plan, widths),
        "claims": claims(plan.circuit, instances, widths),
        "opening": opening(plan),
    }


def witness(circuit: Circuit, widths: Mapping[int, int]) -> Work:
    """One multiply-add per product of a contraction; weights read and written in every step; values written once."""
    floats = 0
    for node in circuit.nodes:
        if isinstance(node, Contract):
            sizes = dict(zip(node.left_labels, circuit.nodes[node.left].shape, strict=True))
            sizes |= dict(zip(node.right_labels, circuit.nodes[node.right].shape, strict=True))
            floats += prod(sizes.values())
    state = sum(prod(circuit.nodes[index].shape) for index in circuit.committed("before"))
    stored = sum(prod(circuit.nodes[index].shape) * width for index, width in widths.items())
    return Work(floats=floats, moved=2 * 8 * state * circuit.steps + stored)


def transform_multiplications(log_length: int) -> int:
    """Multiplications by other factors than powers of i, in a transform by radix 4 with one level of radix 2."""
    if log_length < 2:
        return 0
    quarter = 1 << (log_length - 2)
    return 4 * transform_multiplications(log_length - 2) + 3 * (quarter - 1)


def hash_bytes(length: int) -> int:
    """Bytes of the blocks of a message: padding and its length take nine more."""
    return -(-(length + 9) // HASH_BLOCK) * HASH_BLOCK


def oracle(plan: Plan, rows: int) -> Work:
    """Encode and hash: messages and codewords are written once and read once."""
    code = plan.code
    leaf = hash_bytes(1 + SALT_BYTES + rows * ELEMENT_BYTES)
    inner = hash_bytes(1 + 2 * DIGEST_BYTES)
    return Work(
        extension=rows * transform_multiplications(code.log_length),
        hashed=code.length * leaf + (code.length - 1) * inner,
        moved=2 * rows * (code.message + code.length) * ELEMENT_BYTES,
    )


def advice(plan: Plan, widths: Mapping[int, int]) -> Work:
    """An oracle, the multiplicities, the delay of the transcript and its proof of work."""
    looked_up = sum(prod(plan.circuit.nodes[x.re].shape) * widths.get(x.re, 1) for x in plan.circuit.lookups)
    in_order = delay_bytes(plan) + (TRIAL_BYTES << LOOKUP_GRINDING_BITS)
    rows = plan.layout.oracle("advice").rows + EXTRA_ADVICE_ROWS
    return oracle(plan, rows) + Work(hashed_in_order=in_order, moved=looked_up)


def layers(cls: LookupClass) -> Iterator[int]:
    """Nodes of each layer of a tree of fractions whose children are both no padding, from the leaves on."""
    columns, width, rows = cls.columns, 1 << cls.column_bits, 1 << cls.row_bits
    while width > 1:
        width //= 2
        yield max(columns - width, 0) * rows
        columns = min(columns, width)
    while rows > 1:
        rows //= 2
        yield rows


def lookups(plan: Plan, widths: Mapping[int, int]) -> Work:
    """The trees and the sumchecks of all layers."""
    total = Work()
    for cls in plan.classes:
        leaves = sum(
            widths.get(node, 1) << cls.row_bits
            for index in cls.lookups
            for node in plan.circuit.lookups[index].coordinates
        )
        # Read for the tree, for the sums of the first round, for its fold.
        total += Work(moved=3 * leaves)
        for number, nodes in enumerate(layers(cls)):
            total += leaf_layer(nodes) if number == 0 else layer(nodes)
    return total


def leaf_layer(nodes: int) -> Work:
    """Constant numerators: a parent takes one product, a round works on two tables.

    A round takes, per pair of entries, two values of a product, both weighted, and two folds; to get from
    n entries to one takes n - 1 pairs. Folded tables are written once and read once: 32 bytes for every
    pair, and as much again.
    """
    pairs = max(nodes - 1, 0)
    return Work(extension=nodes + 6 * pairs, moved=2 * 2 * ELEMENT_BYTES * pairs)


def layer(nodes: int) -> Work:
    """A parent takes three products, a round works on four tables.

    Two products for each of two values, both weighted, and four folds; before them, p0 + ratio q0. The
    2n children are written once, read for the sums and for the first fold; folded tables once each.
    """
    pairs, children = max(nodes - 1, 0), 2 * nodes * 2 * ELEMENT_BYTES
    return Work(extension=4 * nodes + 10 * pairs, moved=3 * children + 2 * 4 * ELEMENT_BYTES * pairs)


def claims(circuit: Circuit, instances: Sequence[Instance], widths: Mapping[int, int]) -> Work:
    """Both factors of every instance contracted to their shared axes, and a sumcheck over these."""
    contractions, total = Contractions(circuit, widths), Work()
    for instance in instances:
        for node, vectors in ((instance.left_node, instance.left), (instance.right_node, instance.right)):
            total += contractions.of(node, tuple(None if vector is None else id(vector) for vector in vectors))
        # Two values of a product and two folds per pair.
        total += Work(extension=4 * (prod(1 << axis_bits(size) for size in instance.shared_sizes) - 1))
    return total


Mark = Hashable


class Contractions:
    """Sums of nodes against vectors, pushed through the rules of a circuit; each is made once.

    A mark per axis says which vector it is summed against, None that it is kept.
    """

    def __init__(self, circuit: Circuit, widths: Mapping[int, int]):
        self._circuit, self._widths = circuit, widths
        self._known: set[tuple] = set()

    def of(self, index: int, marks: tuple[Mark, ...]) -> Work:
        """The work of this contraction, if it has not been met before."""
        if (index, marks) in self._known:
            return Work()
        self._known.add((index, marks))
        nodes, node = self._circuit.nodes, self._circuit.nodes[index]
        if index in self._widths:
            return self._of_integers(index, node.shape, marks)
        match node:
            case Combine(terms=terms):
                return sum((self.of(operand, marks) for _, operand in terms), Work())
            case Axes(node=operand, source=source):
                sizes = enumerate(nodes[operand].shape)
                return self.of(operand, tuple(marks[source.index(x)] if x in source else (ONES, n) for x, n in sizes))
            case Rows(node=operand, shape=shape):
                taken = shape[0] * shape[1] * _kept(shape[2:], marks[2:])
                own = Work(extension=taken if marks[0] is not None or marks[1] is not None else 0)
                return self.of(operand, (None, *marks[2:])) + own
            case Filter(node=operand, shape=shape):
                own = Work(extension=_kept(shape, (None, *marks[1:])) if marks[0] is not None else 0)
                return self.of(operand, (None, *marks[1:])) + own
            case Contract():
                return self._of_product(node, marks)
            case _:
                return Work()

    def _of_integers(self, index: int, shape: tuple[int, ...], marks: tuple[Mark, ...]) -> Work:
        """The longest axis by products of limbs; what that leaves, if more axes are summed, over K."""
        summed = [size for size, mark in zip(shape, marks, strict=True) if mark is not None]
        floats = FLOATS_PER_WEIGHT * prod(shape) if summed else 0
        more = prod(shape) // max(summed) if len(summed) > 1 else 0
        return Work(extension=more, floats=floats, moved=prod(shape) * self._widths[index])

    def _of_product(self, node: Contract, marks: tuple[Mark, ...]) -> Work:
        given, nodes = dict(zip(node.out_labels, marks, strict=True)), self._circuit.nodes
        shared = set(node.left_labels) & set(node.right_labels)
        work, kept = Work(), {}
        for operand, labels in ((node.left, node.left_labels), (node.right, node.right_labels)):
            sizes = dict(zip(labels, nodes[operand].shape, strict=True))
            inner = tuple(None if x in shared else given[x] if x in given else (ONES, sizes[x]) for x in labels)
            work += self.of(operand, inner)
            kept |= {label: sizes[label] for label, mark in zip(labels, inner, strict=True) if mark is None}
        return work + Work(extension=prod(kept.values()))


def _kept(shape: tuple[int, ...], marks: tuple[Mark, ...]) -> int:
    """Entries that are left when the marked axes have been summed."""
    return prod(size for size, mark in zip(shape, marks, strict=True) if mark is None)


def opening(plan: Plan) -> Work:
    """Weights of all committed symbols, two inner products with them, one sumcheck, and proofs of work.

    Per symbol: two inner products, one combination of the two weights, and four products per pair of the
    sumcheck; per committed entry one product for its weight. Weights of two lanes are written and read,
    then their combination; symbols are read three times; tables are folded once a round.
    """
    layout, code = plan.layout, plan.code
    symbols = sum(oracle.rows for oracle in layout.oracles) << layout.log_message
    entries = sum(1 << block.bits for oracle in layout.oracles for block in oracle.blocks)
    tables = 2 + 2 + 1 + 1 + 3
    pairs = symbols - 1
    trials = (layout.row_variables + 1 << COMBINATION_GRINDING_BITS) + (1 << OPENING_GRINDING_BITS)
    columns = code.queries * ELEMENT_BYTES * sum(oracle.rows for oracle in layout.oracles)
    return Work(
        extension=entries + 3 * symbols + 4 * pairs,
        hashed_in_order=trials * TRIAL_BYTES,
        moved=tables * ELEMENT_BYTES * symbols + 2 * 2 * ELEMENT_BYTES * pairs + columns,
    )
