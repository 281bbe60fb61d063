"""Tables cut into pieces, of which many hold nothing.

The address space of an opening is mostly gaps; they are neither stored nor worked on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zkjax.compute import host
from zkjax.compute.blocked import PIECE
from zkjax.fields.vectors import Ext


@dataclass(frozen=True)
class Pieced:
    """A table K[size] in equal pieces, None where all entries are zero.

    `size` is a power of two; a table smaller than a piece lies at the start of one and is followed
    by zeros. A piece is JAX's or an aligned one of the host's, which is read in place.
    """

    size: int
    pieces: list[Ext | None]

    def whole(self) -> Ext:
        """The table itself, a copy on the host."""
        length = next((piece.size for piece in self.pieces if piece is not None), PIECE)
        planes = [np.zeros(length * len(self.pieces), np.uint64) for _ in range(2)]
        for number, piece in enumerate(self.pieces):
            for plane, part in zip(planes, piece or (), strict=False):
                plane[number * length : (number + 1) * length] = np.asarray(part)
        return Ext(*planes)[: self.size]


def pieced(table: Ext | Pieced) -> Pieced:
    """A table in pieces; views of the host's memory where it is aligned."""
    if isinstance(table, Pieced):
        return table
    planes, size = [np.asarray(plane) for plane in table], table.shape[0]
    if size < PIECE:
        planes = [np.pad(plane, (0, PIECE - size)) for plane in planes]
    planes = [host.aligned(plane) for plane in planes]
    return Pieced(size, [Ext(*(plane[at : at + PIECE] for plane in planes)) for at in range(0, size, PIECE)])


def whole(table: Ext | Pieced) -> Ext:
    """The table in one array."""
    return table.whole() if isinstance(table, Pieced) else table


def joined(pieces: Sequence[Ext], size: int) -> Ext:
    """The first `size` entries of all pieces, on the host."""
    planes = zip(*pieces, strict=True)
    return Ext(*(np.concatenate([np.asarray(part) for part in plane])[:size] for plane in planes))
