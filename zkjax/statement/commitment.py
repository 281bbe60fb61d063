"""What a commitment is of: its type, apart from the proof in which it plays a role."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from zkjax.statement.circuit import Circuit, Committed
from zkjax.statement.layout import Block, OracleLayout
from zkjax.statement.parameters import Code

KINDS = ("data", "state")


@dataclass(frozen=True)
class Place:
    """A committed tensor: its meaning (name, shape, scale) and its place (lane, offset)."""

    name: str
    shape: tuple[int, ...]
    fraction_bits: int
    lane: int
    offset: int


@dataclass(frozen=True)
class CommitmentType:
    """Code, number of rows and tensors of a commitment to a data set or to a state.

    The state before a block and after it are of one type, so that blocks can be chained.
    """

    kind: str
    code: Code
    rows: int
    tensors: tuple[Place, ...]

    @classmethod
    def of(cls, circuit: Circuit, code: Code, oracle: OracleLayout) -> CommitmentType:
        """The type of an oracle in its role in a proof."""
        places = []
        for block in oracle.blocks:
            node = circuit.nodes[block.node]
            assert isinstance(node, Committed)
            places.append(Place(node.name, node.shape, node.fraction_bits, block.lane, block.offset))
        kind = "state" if oracle.name in ("before", "after") else oracle.name
        return cls(kind, code, oracle.rows, tuple(places))

    def layout(self) -> OracleLayout:
        """A layout outside any proof; its blocks name the tensors by their position."""
        blocks = (Block(index, place.shape, place.lane, place.offset) for index, place in enumerate(self.tensors))
        return OracleLayout(self.kind, tuple(blocks), -1, 0, self.rows)

    def digest(self, root: bytes) -> bytes:
        """Digest of the commitment: one root cannot be read as another type."""
        code = self.code
        document = {
            "kind": self.kind,
            "code": [code.log_message, code.log_length, code.openings, code.mask_symbols],
            "rows": self.rows,
            "tensors": [[p.name, list(p.shape), p.fraction_bits, p.lane, p.offset] for p in self.tensors],
            "root": root.hex(),
        }
        return hashlib.sha256(b"zkjax object" + json.dumps(document, sort_keys=True).encode()).digest()
