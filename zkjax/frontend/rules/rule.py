"""The signature of a rule."""

from __future__ import annotations

from collections.abc import Callable

from zkjax.frontend.trace import Equation
from zkjax.frontend.values import Value, Values

Rule = Callable[[Values, Equation, list[Value]], Value]
