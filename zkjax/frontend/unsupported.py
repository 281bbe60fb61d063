"""What the frontend cannot translate, reported all at once."""

from __future__ import annotations

from dataclasses import dataclass

from zkjax.errors import UserError

NAMED_LEAVES = 3
COVERAGE = "docs/coverage.md lists what can be proved, what it means in integers, and what it costs"


@dataclass(frozen=True)
class Problem:
    """One thing that has no translation: what, where it stands, and what to do instead.

    A problem of state leaves names them; then `what` is what is said of them.
    """

    what: str
    line: str
    remedy: str
    leaves: tuple[str, ...] = ()
    count: int = 1

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 and not self.leaves else ""
        return f"{_subject(self.leaves)}{self.what}{times}\n    at {self.line}\n    {self.remedy}"


def _subject(leaves: tuple[str, ...]) -> str:
    if len(leaves) < 2:
        return "".join(f"the state leaf {name!r} " for name in leaves)
    names = ", ".join(map(repr, leaves[:NAMED_LEAVES]))
    rest = f" and {len(leaves) - NAMED_LEAVES} more" if len(leaves) > NAMED_LEAVES else ""
    return f"each of the state leaves {names}{rest} "


class UnsupportedError(UserError):
    """The step uses operations that cannot be proved yet; `problems` lists all of them."""

    def __init__(self, problems: list[Problem]):
        self.problems = tuple(_merged(problems))
        count = len(self.problems)
        head = f"the training step contains {count} thing{'s' * (count > 1)} that cannot be proved:"
        body = [f"{number}. {problem}" for number, problem in enumerate(self.problems, start=1)]
        super().__init__("\n".join([head, *body, COVERAGE]))


def _merged(problems: list[Problem]) -> list[Problem]:
    """Equal problems as one, with their leaves and their number."""
    groups: dict[tuple[str, str, str], list[Problem]] = {}
    for problem in problems:
        groups.setdefault((problem.what, problem.line, problem.remedy), []).append(problem)
    return [
        Problem(*key, tuple(name for problem in group for name in problem.leaves), len(group))
        for key, group in groups.items()
    ]


class Refused(Exception):
    """A rule cannot translate its equation. Internal: the interpreter collects these."""

    def __init__(self, what: str, remedy: str):
        super().__init__(what)
        self.what, self.remedy = what, remedy


SAMPLING = (
    "draw random numbers from constants, keys and counters of the state alone, so that everybody can draw them again"
)
COLUMNS = "keep the parts of a tensor as leaves of their own, in the batch and in the state"

REMEDIES = {
    "and": "combine masks outside of the step; write relu6(x) as jnp.clip(x, 0, 6)",
    "conv_general_dilated": "use dense layers",
    "rev": "use dense layers in place of convolutions; reverse data outside of the step",
    "reduce_window_max": "remove pooling",
    "slice": COLUMNS,
    "dynamic_slice": COLUMNS,
    "pad": COLUMNS,
    "split": COLUMNS,
    "iota": "give one-hot labels or positions in the batch instead of making them in the step",
    "scan": "loops of at most 64 turns over stacked parameters are unrolled; unroll others in Python",
    "while": "unroll the loop in Python",
    "cond": "choose the branch outside of the step",
    "random_bits": SAMPLING,
    "threefry2x32": SAMPLING,
    "random_wrap": SAMPLING,
    "random_seed": SAMPLING,
    "random_fold_in": SAMPLING,
    "random_gamma": SAMPLING,
    "random_split": SAMPLING,
    "random_unwrap": SAMPLING,
    "shift_right_logical": SAMPLING,
    "shift_left": SAMPLING,
    "bitcast_convert_type": SAMPLING,
    "select_and_scatter_add": "remove pooling",
    "reduce_window_sum": "remove pooling",
    "sort": "prepare sorted data outside of the step",
    "cumsum": "express the sum as a matrix product with a matrix in the batch",
}
DEFAULT_REMEDY = "there is no rule for this operation yet; express it by sums, products, relu, exp, log, tanh or erf"
