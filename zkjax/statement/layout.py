"""Where each committed tensor lies in the committed matrix.

Two base-field elements share a symbol of K: the *real* lane and the *imaginary* lane are separate
address spaces of symbols. A tensor occupies an aligned block of a lane: every axis padded to a
power of two, row major. All oracles of a proof form one matrix H of symbols with
2**log_message columns; oracle o starts at an aligned row. Symbols that no tensor occupies are
never read: the weights of every claim are zero there.

A pure function of the circuit, of the code and of nothing else; prover and verifier call it.
"""

from __future__ import annotations

from dataclasses import dataclass

from zkjax.statement.circuit import ORACLES, Circuit
from zkjax.statement.parameters import MAX_LOG_MESSAGE, MIN_LOG_MESSAGE, SHORT_LOG_MESSAGE

REAL, IMAGINARY = 0, 1
MASK_COUNT = 2
EXTRA_ADVICE_ROWS = 3


def axis_bits(size: int) -> int:
    """Number of variables of an axis of `size` slots."""
    return (size - 1).bit_length()


def tensor_bits(shape: tuple[int, ...]) -> int:
    """Number of variables of a tensor, every axis padded to a power of two."""
    return sum(axis_bits(size) for size in shape)


@dataclass(frozen=True)
class Block:
    """A committed tensor: 2**bits symbols from `offset` on, in one lane of its oracle."""

    node: int
    shape: tuple[int, ...]
    lane: int
    offset: int

    @property
    def bits(self) -> int:
        return tensor_bits(self.shape)


@dataclass(frozen=True)
class OracleLayout:
    """The blocks of one oracle.

    `node` of a block is the circuit's node, or -1 - t for the multiplicities of table t (advice
    only). `masks` is the offset of the MASK_COUNT symbols that hide the split (advice only, else
    -1). `first_row` is the oracle's place in the whole matrix, `rows` its number of rows.
    """

    name: str
    blocks: tuple[Block, ...]
    masks: int
    first_row: int
    rows: int


@dataclass(frozen=True)
class Layout:
    """All oracles of a proof; `variables` = log2 of the address space of symbols."""

    oracles: tuple[OracleLayout, ...]
    log_message: int
    variables: int

    @property
    def row_variables(self) -> int:
        return self.variables - self.log_message

    def oracle(self, name: str) -> OracleLayout:
        return self.oracles[ORACLES.index(name)]


def _place(tensors: list[tuple[str, int, tuple[int, ...]]], masks: int) -> tuple[tuple[Block, ...], int, int]:
    """Blocks by falling size and name, each into the emptier lane; the mask symbols; symbols used."""
    ends = [0, 0]
    blocks = []
    for _, node, shape in sorted(tensors, key=lambda entry: (-tensor_bits(entry[2]), entry[0])):
        lane = REAL if ends[REAL] <= ends[IMAGINARY] else IMAGINARY
        blocks.append(Block(node, shape, lane, ends[lane]))
        ends[lane] += 1 << tensor_bits(shape)
    used = max(ends)
    used += used % 2 if masks else 0
    return tuple(blocks), used, used + masks


def _tensors(circuit: Circuit, oracle: str) -> list[tuple[str, int, tuple[int, ...]]]:
    nodes = ((index, circuit.nodes[index]) for index in circuit.committed(oracle))
    tensors = [(f"tensor {node.name}", index, node.shape) for index, node in nodes]  # type: ignore[union-attr]
    if oracle == "advice":
        tensors += [
            (f"multiplicities {index:03}", -1 - index, (1 << table.bits,)) for index, table in enumerate(circuit.tables)
        ]
    return tensors


def choose_log_message(circuit: Circuit, pads: int) -> int:
    """Columns of the matrix: near the square root of the symbols, so that rows and columns cost alike.

    More where the code is short, since then more columns are opened. At least as many as there are pads,
    which occupy one row of their own.
    """
    symbols = sum(_place(_tensors(circuit, oracle), 0)[1] for oracle in ORACLES)
    balanced = (axis_bits(symbols) + 7) // 2
    if balanced < SHORT_LOG_MESSAGE:
        balanced = (axis_bits(symbols) + 6) // 2
    return min(MAX_LOG_MESSAGE, max(MIN_LOG_MESSAGE, balanced, axis_bits(pads)))


def lay_out(circuit: Circuit, log_message: int) -> Layout:
    """Layout of the four oracles with 2**log_message columns."""
    drafts = []
    for name in ORACLES:
        blocks, masks, used = _place(_tensors(circuit, name), MASK_COUNT if name == "advice" else 0)
        rows = -(-used // (1 << log_message))
        drafts.append((name, blocks, masks if name == "advice" else -1, rows))
    first_rows = {}
    end = 0
    for name, _, _, rows in sorted(drafts, key=lambda draft: (-axis_bits(draft[3]), ORACLES.index(draft[0]))):
        first_rows[name] = end
        end += 1 << axis_bits(rows)
    oracles = tuple(OracleLayout(name, blocks, masks, first_rows[name], rows) for name, blocks, masks, rows in drafts)
    return Layout(oracles, log_message, log_message + axis_bits(end))
