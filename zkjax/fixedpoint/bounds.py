"""What does not fit: refused with the equation, its bound and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from zkjax.errors import UserError
from zkjax.fixedpoint.formats import TensorFormat
from zkjax.statement.circuit import MAX_COEFFICIENT, Circuit
from zkjax.statement.ranges import RangeError, check_ranges

FIELD_BITS = 61
REMEDY = (
    "scale the data to about one, write constants as powers of two, use fewer steps per block (steps=), a smaller "
    "batch, a larger learning rate or a larger factor of a penalty on the weights; fewer magnitude bits (bits=) are "
    "tried already"
)
RATE_REMEDY = (
    "the learning rate of {name} is {rate:.3g}, and weights between the steps need one bit more for each time that "
    "it is halved: use a larger one (1e-6 fits most networks), or fewer steps per block (steps=) or a smaller batch"
)
OUTPUT_REMEDY = (
    "the training fits, its outputs do not: return what is made before this line beside the state, a loss of the data "
    "without its penalty, say, and name that in outputs="
)


class BoundError(UserError):
    """A value, or the ratio of two scales, is not known to fit the field.

    `tensors` are those whose formats the lowering had chosen when it came upon that.
    """

    tensors: tuple[TensorFormat, ...] = ()

    def __init__(self, what: str, bits: int, line: str, remedy: str = REMEDY):
        self.what, self.bits, self.line = what, bits, line
        super().__init__(
            f"{what} {bits} bits; the field holds {FIELD_BITS}\n    at {line or 'the new state'}\n    {remedy}"
        )

    def of_rate(self, name: str, rate: Fraction) -> BoundError:
        """The same error where it is a small learning rate that takes the bits."""
        return BoundError(self.what, self.bits, self.line, RATE_REMEDY.format(name=name, rate=float(rate)))

    def of_output(self) -> BoundError:
        """The same error where the training fits without its outputs."""
        return BoundError(self.what, self.bits, self.line, OUTPUT_REMEDY)


def check_coefficient(coefficient: int, line: str) -> None:
    """Raise BoundError for a factor between two scales that no circuit may contain."""
    if abs(coefficient) >= MAX_COEFFICIENT:
        raise BoundError("two scales that meet are apart by", abs(coefficient).bit_length() - 1, line)


def check_bounds(circuit: Circuit, lines: Mapping[str, str]) -> None:
    """Raise BoundError where a lookup of `circuit` may wrap around.

    `lines` gives source lines by the beginnings of lookup names.
    """
    try:
        check_ranges(circuit)
    except RangeError as error:
        if not isinstance(error.got, int):
            raise
        name = next((lookup.name for lookup in circuit.lookups if repr(lookup.name) in str(error)), str(error))
        found = [line for tensor, line in lines.items() if name.startswith(tensor)]
        what = f"the values of {name!r} are only known to lie within"
        raise BoundError(what, error.got.bit_length(), found[-1] if found else "") from error
