"""The exact integer run of a training block, where it leaves its ranges, and its lookup counts."""

from zkjax.witness.check import OutOfRangeError, check_lookups, saturations
from zkjax.witness.execute import Values, Witness, checked_schedule, execute
from zkjax.witness.multiplicities import multiplicities
from zkjax.witness.plan import PlanError

__all__ = [
    "OutOfRangeError",
    "PlanError",
    "Values",
    "Witness",
    "check_lookups",
    "checked_schedule",
    "execute",
    "multiplicities",
    "saturations",
]
