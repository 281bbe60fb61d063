"""Legal circuits that no compiler would write: every node kind, every way of using it, odd sizes."""

from __future__ import annotations

import numpy as np

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
    Positions,
    Public,
    Rows,
)
from zkjax.statement.filters import Rows as Matrix
from zkjax.statement.filters import earlier, matrix
from zkjax.statement.tables import Table

MAX_SIZE = 64
MAX_AXES = 4


class _Writer:
    def __init__(self, seed: int, sizes: int, outer: bool):
        self.random = np.random.default_rng(seed)
        self.sizes, self.outer = sizes, outer
        self.steps, self.batch, self.rows = (int(n) for n in self.random.integers(1, sizes + 1, 3))
        self.nodes: list[Node] = []

    def pick(self, choices):
        return choices[int(self.random.integers(len(choices)))]

    def size(self) -> int:
        return int(self.random.integers(1, self.sizes + 1))

    def shape(self, axes: int) -> tuple[int, ...]:
        return tuple(self.size() for _ in range(axes))

    def index(self) -> int:
        return int(self.random.integers(len(self.nodes)))

    def coefficient(self) -> int:
        return int(self.pick([1, -1, 2, 3, -7, 16]))

    def matrix(self, rows: int, columns: int) -> Matrix:
        full = self.random.integers(-3, 4, (rows, columns)) * self.random.integers(0, 2, (rows, 1))
        return matrix(full.tolist())

    def virtual(self) -> Node | None:
        """A random node, or None if the dice fell badly."""
        operand = self.index()
        shape = self.nodes[operand].shape
        kinds = ["constant", "positions", "public", "combine", "combine", "axes", "axes", "rows", "filter"]
        match self.pick([*kinds, "contract", "contract"]):
            case "constant":
                return Constant(shape, int(self.random.integers(-5, 6)))
            case "positions":
                return Positions(shape, int(self.random.integers(len(shape)))) if shape else None
            case "public":
                low = int(self.random.integers(-5, 3))
                return Public.of(self.random.integers(low, low + int(self.pick([2, 3, 7])), shape))
            case "combine":
                alike = [i for i, node in enumerate(self.nodes) if node.shape == shape]
                count = int(self.random.integers(1, 4))
                return Combine(shape, tuple((self.coefficient(), self.pick(alike)) for _ in range(count)))
            case "axes":
                kept = [axis for axis in self.random.permutation(len(shape)).tolist() if self.random.random() < 0.7]
                source: list[int] = kept
                for _ in range(int(self.random.integers(0, 2))):
                    source.insert(int(self.random.integers(len(source) + 1)), -1)
                return Axes(tuple(self.size() if a < 0 else shape[a] for a in source), operand, tuple(source))
            case "rows":
                data = self.pick(
                    [i for i, n in enumerate(self.nodes) if isinstance(n, Committed) and n.oracle == "data"]
                )
                return Rows((self.steps, self.batch, *self.nodes[data].shape[1:]), data)
            case "filter":
                if not shape:
                    return None
                rows = earlier(shape[0]) if self.random.random() < 0.3 else self.matrix(self.size(), shape[0])
                return Filter((len(rows), *shape[1:]), operand, rows)
            case _:
                return self.contraction(operand, self.index())

    def contraction(self, left: int, right: int) -> Node | None:
        shapes = self.nodes[left].shape, self.nodes[right].shape
        labels = self.random.permutation(20).tolist()
        left_labels = [labels.pop() for _ in shapes[0]]
        free = list(range(len(shapes[0])))
        right_labels = []
        for size in shapes[1]:
            matches = [axis for axis in free if shapes[0][axis] == size]
            if matches and self.random.random() < 0.8:
                axis = self.pick(matches)
                free.remove(axis)
                right_labels.append(left_labels[axis])
            else:
                right_labels.append(labels.pop())
        if not self.outer and not set(left_labels) & set(right_labels):
            return None
        sizes = dict(zip(left_labels, shapes[0], strict=True)) | dict(zip(right_labels, shapes[1], strict=True))
        out = [label for label in self.random.permutation(sorted(sizes)).tolist() if self.random.random() < 0.5]
        out = out[:MAX_AXES]
        return Contract(tuple(sizes[x] for x in out), left, right, tuple(left_labels), tuple(right_labels), tuple(out))


def random_circuit(
    seed: int, *, nodes: int = 16, sizes: int = 5, bound: int = 3, advice: int = 3, outer: bool = True
) -> Circuit:
    """`nodes` virtual nodes with axes of up to `sizes`; committed values lie in [-bound, bound].

    `outer` says whether contractions without a common axis occur.
    """
    w = _Writer(seed, sizes, outer)
    state = w.shape(int(w.random.integers(0, 3)))
    w.nodes += [
        Committed((w.rows, *w.shape(int(w.random.integers(0, 2)))), "data", "x", 0),
        Committed(state, "before", "w", 0),
        Committed(state, "after", "w", 0),
    ]
    for number in range(advice):
        leading = (w.steps,) if number % 2 else ()
        w.nodes.append(Committed((*leading, *w.shape(int(w.random.integers(0, 3)))), "advice", f"a{number}", 0))
    committed = len(w.nodes)
    while len(w.nodes) < committed + nodes:
        node = w.virtual()
        if node is not None and len(node.shape) <= MAX_AXES and np.prod(node.shape) <= MAX_SIZE:
            w.nodes.append(node)
    tables = (Table("range", -bound, bound, 0), Table("range", -(1 << 12), 1 << 12, 0))
    lookups = [Lookup(0, index, -1, -1, f"committed {index}") for index in range(committed)]
    lookups += [Lookup(1, index, -1, -1, f"virtual {index}") for index in range(committed, len(w.nodes), 2)]
    zeros = tuple(range(committed + 1, len(w.nodes), 5))
    return Circuit(w.steps, w.batch, w.rows, tuple(w.nodes), tables, tuple(lookups), zeros, ())


def random_schedule(circuit: Circuit, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, circuit.rows, (circuit.steps, circuit.batch))


def random_values(circuit: Circuit, seed: int, low: int, high: int) -> dict[int, np.ndarray]:
    """Integers in [low, high] for every committed node."""
    random = np.random.default_rng(seed)
    return {i: random.integers(low, high + 1, circuit.nodes[i].shape) for i in circuit.committed()}
