"""The square of a norm, one number a step: rounded on the way where its exact sum would not fit the field.

Gradients of different layers come at scales of their own, with the constants of the loss outside. A constant that is
no power of two, such as the factor 1e-4 of a penalty, makes each sum of their squares longer by a multiplier. Where
the sum gets longer than the field, its finest parts drop the bits that the largest ones do not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zkjax.fixedpoint.bounds import check_coefficient
from zkjax.fixedpoint.nodes import Linear, Root
from zkjax.fixedpoint.placed import WIDE, Placed
from zkjax.fixedpoint.signs import is_nonnegative
from zkjax.fixedpoint.step import Step

if TYPE_CHECKING:
    from zkjax.fixedpoint.lower import Lowering

# A sum that did not fit gets so many bits: an error of one unit for each part is far below those of its multipliers.
NORM_BITS = 58
NORM_REMEDY = (
    "it is the norm of all gradients, by which they are clipped, in units of the constants of the loss: write the "
    "factor of a penalty on weights, and the weights of other parts of the loss, as powers of two (2**-13 for 1e-4), "
    "or make a small one larger; or clip without that penalty, with optax.add_decayed_weights after the clipping"
)


def norm_sums(step: Step) -> frozenset[int]:
    """The sums of numbers, one a step, that roots are taken of, and the sums in them."""
    found: set[int] = set()

    def add(index: int) -> None:
        node = step.nodes[index]
        if isinstance(node, Linear) and not node.shape and index not in found:
            found.add(index)
            for _, term in node.terms:
                add(term)

    for node in step.nodes:
        if isinstance(node, Root) and not node.shape:
            add(node.node)
    return frozenset(found)


def fitting(
    lowering: Lowering, index: int, parts: Sequence[Placed], multipliers: Sequence[tuple[int, int]]
) -> list[Placed]:
    """`parts`, some of them rounded where the sum of m / 2**k times each does not fit the field; (m, k): multipliers.

    Soundness: a rounded part is the quotient of the exact one, range-checked to the bits that its bound leaves.
    """
    line = lowering.step.lines[index]
    places = [placed.fraction + power for (_, power), placed in zip(multipliers, parts, strict=True)]
    finest = max(places)
    scaled = zip(multipliers, parts, places, strict=True)
    largest = sum(abs(m) * placed.bound << (finest - place) for (m, _), placed, place in scaled)
    known = all(placed.bound < WIDE for placed in parts) and is_nonnegative(lowering.step.nodes, index)
    if largest < WIDE or not known:
        return list(parts)
    coarser = finest - (largest.bit_length() - NORM_BITS)
    found, b = [], lowering.builder
    for placed, place in zip(parts, places, strict=True):
        shift = place - coarser
        if shift < 1:  # as coarse already
            found.append(placed)
            continue
        check_coefficient(1 << shift, line)
        bits = max(1, (placed.bound + (1 << (shift - 1)) >> shift).bit_length())
        name = lowering.names.unique(f"{lowering.names.leaf(index)}/norm_square")
        lowering.lookup_lines[name] = line
        quotient = b.rescale(placed.node, shift, name, fraction_bits=placed.fraction - shift)
        b.unsigned_range(quotient, bits, f"{name}/range")
        found.append(Placed(quotient, placed.fraction - shift, 1 << bits, placed.degree))
    return found
