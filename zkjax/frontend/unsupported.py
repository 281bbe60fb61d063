"""What the frontend cannot translate, reported all at once."""

from __future__ import annotations

from dataclasses import dataclass

from zkjax.errors import UserError


@dataclass(frozen=True)
class Problem:
    """One equation that has no translation: where it stands, why, and what to do instead."""

    what: str
    line: str
    remedy: str
    count: int = 1

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.what}{times}\n    at {self.line}\n    {self.remedy}"


class UnsupportedError(UserError):
    """The step uses operations that cannot be proved yet; `problems` lists all of them."""

    def __init__(self, problems: list[Problem]):
        self.problems = tuple(_merged(problems))
        count = len(self.problems)
        head = f"the training step contains {count} thing{'s' * (count > 1)} that cannot be proved:"
        body = [f"{number}. {problem}" for number, problem in enumerate(self.problems, start=1)]
        super().__init__("\n".join([head, *body]))


def _merged(problems: list[Problem]) -> list[Problem]:
    counts: dict[Problem, int] = {}
    for problem in problems:
        counts[problem] = counts.get(problem, 0) + problem.count
    return [Problem(p.what, p.line, p.remedy, count) for p, count in counts.items()]


class Refused(Exception):
    """A rule cannot translate its equation. Internal: the interpreter collects these."""

    def __init__(self, what: str, remedy: str):
        super().__init__(what)
        self.what, self.remedy = what, remedy


REMEDIES = {
    "exp": "use squared loss instead of cross-entropy, softmax or other exponentials",
    "log": "use squared loss instead of cross-entropy",
    "logistic": "use relu as activation",
    "tanh": "use relu as activation",
    "erf": "use relu instead of gelu",
    "sqrt": "remove normalisation by a square root, or an optimiser other than plain SGD",
    "rsqrt": "remove normalisation by a square root, or an optimiser other than plain SGD",
    "conv_general_dilated": "use dense layers",
    "reduce_window_max": "remove pooling",
    "reduce_max": "remove softmax or pooling; use squared loss on the outputs",
    "argmax": "compute accuracy outside of what flows into the new state",
    "gather": "give one-hot labels in the batch instead of indexing inside the step",
    "scatter-add": "give one-hot labels in the batch instead of indexing inside the step",
    "scatter_add": "give one-hot labels in the batch instead of indexing inside the step",
    "iota": "give one-hot labels or positions in the batch instead of making them in the step",
    "scan": "unroll the loop in Python",
    "while": "unroll the loop in Python",
    "cond": "choose the branch outside of the step",
    "random_bits": "remove dropout and sampling from the step",
    "threefry2x32": "remove dropout and sampling from the step",
    "random_wrap": "remove dropout and sampling from the step",
    "random_seed": "remove dropout and sampling from the step",
    "random_fold_in": "remove dropout and sampling from the step",
    "sort": "prepare sorted data outside of the step",
    "cumsum": "express the sum as a matrix product with a matrix in the batch",
}
DEFAULT_REMEDY = "there is no rule for this operation yet; express it by sums, products and relu"
