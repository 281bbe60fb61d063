"""Non-linear gadgets beyond rounding and the rectifier: tables, maxima, one-hot forms, division, square roots.

Each commits what it makes, and ties it to what it reads by lookups, limbs and zeros; every value that is not
committed is virtual. What a gadget proves stands in its docstring.
"""

from __future__ import annotations

from zkjax.circuit.builder import CircuitBuilder
from zkjax.circuit.recipes import IsZero, Largest, Ratio, ReluGate, SquareRoot, TableValue
from zkjax.statement.circuit import Lookup, Positions
from zkjax.statement.filters import matrix
from zkjax.statement.tables import Table

LETTERS = "abcdefgh"


def look_up(builder: CircuitBuilder, node: int, table: Table, name: str) -> int:
    """f(node) by the table of a function; also range-checks `node` to the table's [lo, hi].

    What is committed is f - f(0), for which slots outside of the real shape are a row too.
    """
    shape = builder.shape(node)
    recipe = TableValue(node, table)
    change = builder.committed(name, shape, oracle="advice", fraction_bits=table.output_fraction, recipe=recipe)
    builder.lookups.append(Lookup(builder.shared(table), node, change, -1, f"{name}/function"))
    return builder.combine((1, change), (1, builder.constant(shape, table.offset)))


def maximum(builder: CircuitBuilder, node: int, name: str, *, spread: int) -> tuple[int, int]:
    """(the largest entry along the last axis, the one-hot form of its first place) of entries at most `spread` apart.

    m = <selector, node> with a selector of zeros and a single one is an entry, at place k; 0 <= m - node - [j < k] at
    all places j makes it the largest, and larger than all before it. [j < k] is the sum of the selector beyond j.
    """
    shape = builder.shape(node)
    last = len(shape) - 1
    selector = builder.committed(f"{name}/selector", shape, oracle="advice", recipe=Largest(node))
    _require_one_of(builder, selector, f"{name}/selector")
    labels = LETTERS[: len(shape)]
    largest = builder.contract(selector, node, f"{labels},{labels}->{labels[:-1]}")
    spread_out = builder.axes(largest, (*range(last), -1), shape)
    leading = builder.axes(selector, (last, *range(last)), (shape[last], *shape[:last]))
    beyond = builder.filter(leading, matrix([int(k > j) for k in range(shape[last])] for j in range(shape[last])))
    later = builder.axes(beyond, (*range(1, last + 1), 0), shape)
    distance = builder.combine((1, spread_out), (-1, node), (-1, later))
    builder.unsigned_range(distance, spread.bit_length(), f"{name}/distance")
    return largest, selector


def positive(builder: CircuitBuilder, node: int, name: str, *, bits: int) -> int:
    """[node > 0] of |node| <= 2**bits: s in {0, 1} with 0 <= (2 s - 1) node - s, which is node - 1 or -node."""
    shape = builder.shape(node)
    sign = builder.committed(f"{name}/positive", shape, oracle="advice", recipe=ReluGate(node, 1 << bits))
    builder.range_check(sign, 0, 1, f"{name}/positive")
    labels = LETTERS[: len(shape)]
    kept = builder.contract(sign, node, f"{labels},{labels}->{labels}")
    builder.unsigned_range(builder.combine((2, kept), (-1, node), (-1, sign)), bits + 1, f"{name}/magnitude")
    return sign


def one_hot(builder: CircuitBuilder, node: int, classes: int, name: str) -> int:
    """[node == c] for c = 0 .. classes - 1 along a new last axis; `node` is thereby one of them."""
    shape = (*builder.shape(node), classes)
    last = len(shape) - 1
    spread = builder.axes(node, (*range(last), -1), shape)
    places = builder.axes(builder.add(Positions((classes,), 0)), (*[-1] * last, 0), shape)
    recipe = IsZero(builder.combine((1, spread), (-1, places)))
    hot = builder.committed(f"{name}/one_hot", shape, oracle="advice", recipe=recipe)
    _require_one_of(builder, hot, f"{name}/one_hot")
    labels = LETTERS[: len(shape)]
    place = builder.contract(hot, builder.add(Positions((classes,), 0)), f"{labels},{labels[-1]}->{labels[:-1]}")
    builder.zeros.append(builder.combine((1, place), (-1, node)))
    return hot


def _require_one_of(builder: CircuitBuilder, node: int, name: str) -> None:
    """`node` is 0 or 1, and a single 1 along the last axis."""
    shape = builder.shape(node)
    builder.range_check(node, 0, 1, name)
    total = builder.axes(node, tuple(range(len(shape) - 1)), shape[:-1])
    builder.zeros.append(builder.combine((1, total), (-1, builder.constant(shape[:-1], 1))))


def divide(
    builder: CircuitBuilder,
    numerator: int,
    divisor: int,
    shift: int,
    name: str,
    *,
    bits: int,
    divisor_bits: int,
    fraction_bits: int = 0,
) -> int:
    """Nearest integer to 2**shift * numerator / divisor, halves upwards, for 0 < divisor < 2**divisor_bits.

    Entry by entry, of any two nodes of one shape. The remainder 2**(shift + 1) numerator + divisor - 2 divisor quotient
    lies in [0, 2 divisor), which no divisor below 1 allows. -2**bits <= quotient < 2**bits. Everything but quotient and
    limbs is virtual. No value wraps around if bits + divisor_bits < 59, and the numerator fits likewise.
    """
    shape = builder.shape(divisor)
    recipe = Ratio(numerator, divisor, shift)
    quotient = builder.committed(name, shape, oracle="advice", fraction_bits=fraction_bits, recipe=recipe)
    builder.signed_range(quotient, bits, name)
    labels = LETTERS[: len(shape)]
    product = builder.contract(divisor, quotient, f"{labels},{labels}->{labels}")
    remainder = builder.combine((1 << (shift + 1), numerator), (1, divisor), (-2, product))
    rest = builder.combine((2, divisor), (-1, builder.constant(shape, 1)), (-1, remainder))
    builder.unsigned_range(remainder, divisor_bits + 1, f"{name}/remainder")
    builder.unsigned_range(rest, divisor_bits + 1, f"{name}/rest")
    return quotient


def square_root(builder: CircuitBuilder, node: int, name: str, *, bits: int, fraction_bits: int = 0) -> int:
    """floor(sqrt(node)) entry by entry, for 0 <= node < 4**bits.

    With r the root, 0 <= node - r**2 <= 2 r, which no negative node allows: r**2 <= node < (r + 1)**2. Root and limbs
    are committed, the rest is virtual. No value wraps around if bits <= 29.
    """
    shape = builder.shape(node)
    root = builder.committed(name, shape, oracle="advice", fraction_bits=fraction_bits, recipe=SquareRoot(node))
    builder.unsigned_range(root, bits, f"{name}/range")
    labels = LETTERS[: len(shape)]
    square = builder.contract(root, root, f"{labels},{labels}->{labels}")
    remainder = builder.combine((1, node), (-1, square))
    builder.unsigned_range(remainder, bits + 1, f"{name}/remainder")
    builder.unsigned_range(builder.combine((2, root), (-1, remainder)), bits + 1, f"{name}/rest")
    return root


def positive_part(builder: CircuitBuilder, node: int, name: str, *, bits: int) -> int:
    """max(node, 0) entry by entry, for |node| < 2**bits: without the table of the rectifier, for wide values.

    With s in {0, 1} and p = s * node: p >= 0 and p - node >= 0 leave p no choice.
    """
    shape = builder.shape(node)
    sign = builder.committed(f"{name}/sign", shape, oracle="advice", recipe=ReluGate(node, 1 << bits))
    builder.range_check(sign, 0, 1, f"{name}/sign")
    labels = LETTERS[: len(shape)]
    part = builder.contract(sign, node, f"{labels},{labels}->{labels}")
    builder.unsigned_range(part, bits, f"{name}/part")
    builder.unsigned_range(builder.combine((1, part), (-1, node)), bits, f"{name}/rest")
    return part
