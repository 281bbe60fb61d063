"""How often each row of each table is looked up, padding included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock

import numpy as np

from zkjax.circuit.program import Lowered
from zkjax.compute.cores import on_all_cores
from zkjax.errors import WitnessError
from zkjax.statement.tables import Table
from zkjax.witness.execute import Witness


def multiplicities(
    lowered: Lowered, witness: Witness, padded_rows: Mapping[int, int] | Callable[[int], int]
) -> list[np.ndarray]:
    """Per table, an int64 array [2**table.bits]: how often the lookups name each row.

    `padded_rows` gives, for the index of a lookup with n entries, the exponent m of the 2**m rows
    that it fills; the 2**m - n rows beyond the entries hold the zero tuple and are counted too.
    Rows that only pad the table count 0. Raises WitnessError for an entry outside its table
    (`check_lookups` says which) and for too few padded rows.
    """
    exponent = padded_rows if callable(padded_rows) else padded_rows.__getitem__
    counts = [np.zeros(1 << table.bits, np.int64) for table in lowered.circuit.tables]

    adding = Lock()

    def count(index: int) -> None:
        lookup = lowered.circuit.lookups[index]
        table = lowered.circuit.tables[lookup.table]
        values = witness.values.stored(lookup.re)
        gate = witness.values.stored(lookup.im) if table.kind == "gated" else None
        padding = (1 << exponent(index)) - values.size
        if padding < 0:
            raise WitnessError(f"lookup {lookup.name!r} has {values.size} entries, more than 2**{exponent(index)}")
        if values.min() < table.lo or values.max() > table.hi:
            raise WitnessError(f"lookup {lookup.name!r} leaves its table {table.describe()}: see check_lookups")
        rows = row_numbers(table, values, gate)
        found = np.bincount(rows.reshape(-1), minlength=1 << table.bits)
        found[-table.lo] += padding
        with adding:
            counts[lookup.table] += found

    on_all_cores(count, range(len(lowered.circuit.lookups)))
    return counts


def row_numbers(table: Table, values: np.ndarray, gate: np.ndarray | None = None) -> np.ndarray:
    """The row of `table`, as `Table.rows` lists them, that holds each entry; `gate` for kind gated."""
    rows = np.subtract(values, table.lo, dtype=np.int64)
    if gate is not None:
        rows += np.multiply(gate, table.hi - table.lo + 1, dtype=np.int64)
    return rows
