"""The circuit: a training block as a public program over integers.

A circuit is a list of *nodes* in topological order. A node is a tensor of integers with a public
shape; `Committed` nodes are values the prover commits to, every other node is *virtual*: the image
of earlier nodes under a fixed integer polynomial, never committed. Tensors of a step carry a
leading axis over the steps of the block. *Lookups* tie nodes to public tables; *zeros* name nodes
that must vanish; *outputs* name nodes whose values the statement publishes. A tensor means its real-shape array
extended by zero: nothing outside is read.

The statement that a proof makes about a circuit is: there are integers for the committed nodes, in
the ranges that `ranges.py` derives, with which every lookup is a row of its table, every zero
node vanishes, and every output has the published values.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from zkjax.errors import VerificationError
from zkjax.statement.filters import Rows as Matrix
from zkjax.statement.public import decoded, encoded
from zkjax.statement.tables import Table

ORACLES = ("data", "before", "after", "advice")
MAX_CIRCUIT_BYTES = 1 << 22
MAX_NODES = 1 << 16
MAX_DIMENSION = 1 << 22
MAX_ELEMENTS = 1 << 40
MAX_COMMITTED_ELEMENTS = 1 << 31
MAX_LOOKUP_ENTRIES = 1 << 31
MAX_AXES = 8
MAX_COEFFICIENT = 1 << 60
MAX_STEPS = 1 << 12
MAX_OUTPUTS = 64
MAX_OUTPUT_ENTRIES = 1 << 16
MAX_SCHEDULE = 1 << 22


class CircuitError(VerificationError):
    """The circuit breaks a legality rule or is not in canonical form."""


@dataclass(frozen=True)
class Committed:
    """A committed tensor of signed integers; `oracle` says in which commitment it lies."""

    shape: tuple[int, ...]
    oracle: str
    name: str
    fraction_bits: int


@dataclass(frozen=True)
class Constant:
    """The tensor that is `value` on its whole real shape (and zero outside it)."""

    shape: tuple[int, ...]
    value: int


@dataclass(frozen=True)
class Positions:
    """The place along one axis: out[..., i, ...] = i, i = 0, 1, ... being the index of axis `axis`."""

    shape: tuple[int, ...]
    axis: int


@dataclass(frozen=True)
class Public:
    """Explicit integers that everybody sees: `low` plus unsigned integers of `bits` bits.

    `entries` holds them as text, in row-major order (see `public`).
    """

    shape: tuple[int, ...]
    low: int
    bits: int
    entries: str

    @classmethod
    def of(cls, values: np.ndarray) -> Public | Constant:
        """The tensor of any array of integers that are at most 32 bits apart; PublicTensorError for others."""
        if values.min() == values.max():
            return Constant(values.shape, int(values.min()))
        return cls(values.shape, *encoded(values))

    @cached_property
    def above(self) -> np.ndarray:
        """The entries less `low`, unsigned; PublicTensorError where the text is not canonical.

        Decoded once, and held as long as the node: whoever verifies many statements holds the tensors of one.
        """
        return decoded(self.shape, self.bits, self.entries)

    @property
    def values(self) -> np.ndarray:
        """The entries, int64."""
        return self.above.astype(np.int64) + self.low


@dataclass(frozen=True)
class Combine:
    """Sum of `coefficient * node` over `terms`; all nodes have this shape."""

    shape: tuple[int, ...]
    terms: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Axes:
    """Transpose, sum and broadcast of one node.

    Output axis j is input axis `source[j]`, or a new axis (a broadcast) where `source[j]` is -1;
    input axes that do not occur in `source` are summed.
    """

    shape: tuple[int, ...]
    node: int
    source: tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """The scheduled rows of a data tensor: out[t, b, ...] = node[schedule[t, b], ...]."""

    shape: tuple[int, ...]
    node: int


@dataclass(frozen=True)
class Filter:
    """A public matrix along the leading axis: out[t, ...] = sum over s of matrix[t, s] * node[s, ...].

    `rows` is the matrix in runs (see `filters`), one row for each slot of the leading axis. The sum over
    earlier steps, `filters.earlier`, makes weights of updates; momentum, decay and schedules are others.
    """

    shape: tuple[int, ...]
    node: int
    rows: Matrix


@dataclass(frozen=True)
class Contract:
    """Bilinear contraction (einsum of two nodes), the only rule that needs a sumcheck.

    Axes carry small integer labels. A label of both factors is multiplied (batched if it is in
    `out_labels`, contracted if not); a label of one factor alone is kept or summed likewise.
    """

    shape: tuple[int, ...]
    left: int
    right: int
    left_labels: tuple[int, ...]
    right_labels: tuple[int, ...]
    out_labels: tuple[int, ...]


Node = Committed | Constant | Positions | Public | Combine | Axes | Rows | Filter | Contract

_KINDS: dict[str, type] = {
    "committed": Committed,
    "constant": Constant,
    "positions": Positions,
    "public": Public,
    "combine": Combine,
    "axes": Axes,
    "rows": Rows,
    "filter": Filter,
    "contract": Contract,
}
_KIND_OF = {kind: name for name, kind in _KINDS.items()}


def operands(node: Node) -> tuple[int, ...]:
    """Indices of the nodes that `node` reads, in order."""
    match node:
        case Combine(terms=terms):
            return tuple(index for _, index in terms)
        case Axes(node=index) | Rows(node=index) | Filter(node=index):
            return (index,)
        case Contract(left=left, right=right):
            return (left, right)
        case _:
            return ()


@dataclass(frozen=True)
class Lookup:
    """Every entry of a tuple of equally shaped nodes is a row of a table.

    The tuple is (re + i*im, second); coordinates that the table does not have are -1 (meaning zero).
    `name` is for people: "layer/tensor".
    """

    table: int
    re: int
    im: int
    second: int
    name: str

    @property
    def coordinates(self) -> tuple[int, ...]:
        return tuple(index for index in (self.re, self.im, self.second) if index >= 0)


@dataclass(frozen=True)
class Output:
    """A node whose values are public: integers times 2**-fraction_bits, one slot of its leading axis for each step."""

    name: str
    node: int
    fraction_bits: int


@dataclass(frozen=True)
class Circuit:
    """A training block of `steps` steps on batches of `batch` rows.

    `rows` is the number of rows of the data set. `remarks` are public facts for people (the exact
    learning rate, the compiled formats); they are part of the digest and have no other meaning. The values of
    `outputs` stand in the statement.
    """

    steps: int
    batch: int
    rows: int
    nodes: tuple[Node, ...]
    tables: tuple[Table, ...]
    lookups: tuple[Lookup, ...]
    zeros: tuple[int, ...]
    remarks: tuple[str, ...]
    outputs: tuple[Output, ...] = ()

    def committed(self, oracle: str | None = None) -> tuple[int, ...]:
        """Indices of the committed nodes (of one oracle), in order."""
        return tuple(
            index
            for index, node in enumerate(self.nodes)
            if isinstance(node, Committed) and oracle in (None, node.oracle)
        )

    @property
    def committed_elements(self) -> int:
        """Number of committed field elements, padding not counted."""
        return sum(prod(self.nodes[index].shape) for index in self.committed())

    @property
    def lookup_entries(self) -> int:
        """Number of lookups, padding not counted."""
        return sum(prod(self.nodes[lookup.re].shape) for lookup in self.lookups)

    def output_shape(self, output: Output) -> tuple[int, ...]:
        return self.nodes[output.node].shape

    def to_bytes(self) -> bytes:
        """Canonical encoding: JSON without white space, in field order."""
        document = {
            "steps": self.steps,
            "batch": self.batch,
            "rows": self.rows,
            "nodes": [[_KIND_OF[type(node)], *_plain(node)] for node in self.nodes],
            "tables": [_plain(table) for table in self.tables],
            "lookups": [_plain(lookup) for lookup in self.lookups],
            "zeros": list(self.zeros),
            "remarks": list(self.remarks),
            "outputs": [_plain(output) for output in self.outputs],
        }
        return json.dumps(document, separators=(",", ":"), ensure_ascii=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Circuit:
        """Strict inverse of `to_bytes`; the result is checked.

        Raises CircuitError on anything that `to_bytes` of a legal circuit would not have written.
        """
        if len(data) > MAX_CIRCUIT_BYTES:
            raise CircuitError("circuit too large", expected=f"<= {MAX_CIRCUIT_BYTES} bytes", got=len(data))
        try:
            document = json.loads(data.decode("ascii"))
            circuit = cls(
                steps=document["steps"],
                batch=document["batch"],
                rows=document["rows"],
                nodes=tuple(_built(_KINDS[row[0]], row[1:]) for row in document["nodes"]),
                tables=tuple(_built(Table, row) for row in document["tables"]),
                lookups=tuple(_built(Lookup, row) for row in document["lookups"]),
                zeros=tuple(document["zeros"]),
                remarks=tuple(document["remarks"]),
                outputs=tuple(_built(Output, row) for row in document["outputs"]),
            )
        except (ValueError, KeyError, TypeError, IndexError, RecursionError, AttributeError) as error:
            raise CircuitError(f"circuit cannot be decoded: {type(error).__name__}") from error
        circuit.check()
        if circuit.to_bytes() != data:
            raise CircuitError("circuit is not in canonical form")
        return circuit

    def __str__(self) -> str:
        """One line per node, lookup, zero and output, for people."""
        from zkjax.statement.printing import describe_circuit

        return "\n".join(describe_circuit(self))

    def digest(self) -> bytes:
        """SHA-256 of the canonical bytes."""
        return hashlib.sha256(b"zkjax circuit" + self.to_bytes()).digest()

    def check(self) -> None:
        """Raise CircuitError unless every legality rule holds.

        Soundness: the ranges are a separate rule (`ranges.check_ranges`); both must hold.
        """
        from zkjax.statement.legality import check_circuit

        check_circuit(self)


def _plain(value: Any) -> Any:
    """Dataclass or tuple to nested lists of ints and strings."""
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, int | str):
        return value
    return [_plain(getattr(value, field.name)) for field in fields(value)]


def _built(kind: Any, row: Any) -> Any:
    if not isinstance(row, list) or len(row) != len(fields(kind)):
        raise ValueError("wrong number of fields")
    return kind(*(_frozen(entry) for entry in row))


def _frozen(value: Any) -> Any:
    return tuple(_frozen(entry) for entry in value) if isinstance(value, list) else value
