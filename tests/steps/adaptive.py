"""Training with an adaptive optimiser, held against a trainer in Python integers that knows no circuit.

The optimiser is written out: means of gradients and of their squares with the coefficients that its own recursion
has, each rounded once; the root and the quotient by Python's own integers; the weights as sums of the quotients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import floor, frexp, isqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.steps.optimisers import SUFFIX
from tests.steps.oracle import Trainer, integers, nearest, rounded
from tests.steps.training import BATCH, Training, network_state, train_step

TAP_BITS = 12
# What a gradient is the product of; those of the biases are sums of the second.
FACTORS = {
    "first/kernel": ("image", "Dense_1/gradient"),
    "first/bias": ("", "Dense_1/gradient"),
    "last/kernel": ("Dense_1/pre_activation", "Dense_0/loss_gradient"),
    "last/bias": ("", "Dense_0/loss_gradient"),
}


def f32(value: float) -> Fraction:
    return Fraction(float(np.float32(value)))


def exponent(value: Fraction) -> int:
    """The least e with value <= 2**e."""
    mantissa, power = frexp(float(value))
    return power - 1 if mantissa == 0.5 else power


@dataclass(frozen=True)
class Rule:
    """u = mean / (sqrt(square + under) + beside), weights times 1 - rate * decay, minus rate * u.

    `mean` is the decay of the mean of gradients, None for the gradient itself; `corrected` says whether both
    means are divided by 1 - decay**count. `rate` gives the learning rate at each step from 0 on.
    """

    mean: float | None
    square: float
    rate: Callable[[int], float]
    under: float = 0.0
    beside: float = 0.0
    corrected: bool = False
    decay: float = 0.0
    names: tuple[str, str] = ("opt_state/0/mu", "opt_state/0/nu")


class AdaptiveTraining(Training):
    """The digits network under an adaptive optimiser of Optax, known by its rule."""

    def __init__(
        self, optimiser: optax.GradientTransformation, rule: Rule, step: Callable = train_step, **options: Any
    ):
        super().__init__(step, network_state(optimiser), **options)
        self.rule = rule

    def is_exact(self) -> None:
        """Both blocks end in the integers of the trainer."""
        for block, run in enumerate(self.runs):
            trainer = AdaptiveTrainer(self, run.program, self.rule, block * self.steps)
            after = trainer.train(run.integers("before"), run.schedule)
            for name, values in run.integers("after").items():
                np.testing.assert_array_equal(values, after[name].astype(np.int64), err_msg=f"block {block}: {name}")


class AdaptiveTrainer(Trainer):
    """The block of `training` that starts at `before`, `count` steps after the first."""

    def __init__(self, training: AdaptiveTraining, program: Any, rule: Rule, count: int):
        self.training, self.program, self.rule, self.count = training, program, rule, count
        self.__post_init__()

    def rescaled(self, ending: str, value: np.ndarray, fraction: int) -> tuple[np.ndarray, int]:
        """Of the network: the optimiser's tensors are named by weights, not by layers."""
        (form,) = [self.formats[name] for name in (f"Dense_{n}/{ending}" for n in range(2)) if name in self.formats]
        assert form.shift == fraction - form.fraction_bits
        return self.shifted(value, form.shift), form.fraction_bits

    def correction(self, decay: float, at: int) -> Fraction:
        """1 / (1 - decay**count) as float32 computes it, 1 without one."""
        if not self.rule.corrected:
            return Fraction(1)
        return 1 / Fraction(float(jax.jit(lambda count: 1 - decay**count)(jnp.int32(self.count + at + 1))))

    def mean(self, decay: float, power: int, steps: int, *, corrected: bool) -> tuple[list, list[list]]:
        """(coefficients of the memory before, of the negative sums of gradients to `power`) after each step."""
        own, new = f32(decay), f32(1 - np.float64(decay)) * Fraction(-1, BATCH) ** power
        factors = [self.correction(decay, at) if corrected else Fraction(1) for at in range(steps)]
        before = [own ** (at + 1) * factor for at, factor in enumerate(factors)]
        return before, [[own ** (at - s) * new * factors[at] for s in range(at + 1)] for at in range(steps)]

    def train(self, before: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
        rule, steps = self.rule, len(rows)
        places = {place: f"params/{end}" for place, end in SUFFIX.items()}
        seen: dict[str, list[np.ndarray]] = {place: [] for place in places}
        updates: dict[str, list[np.ndarray]] = {place: [] for place in places}
        scales: dict[str, int] = {}
        for at, chosen in enumerate(rows):
            weights = {
                place: (self.weight(name, before[name], updates[place], at), self.weights[name].fraction_bits)
                for place, name in places.items()
            }
            found = list(self.gradients(weights, chosen))
            for place, change in found:
                form, exact = self.formats.get(f"{SUFFIX[place]}/gradient"), sum(map(self.fraction, FACTORS[place]))
                scales[place] = form.fraction_bits if form else exact
                seen[place].append(self.shifted(change, exact - scales[place]))
                updates[place].append(self.update(place, seen[place], scales[place], before, at, steps))
        after = {}
        for place, name in places.items():
            form = self.weights[name]
            total = self.weight(name, before[name], updates[place], steps)
            after[name] = self.shifted(total, form.fraction_bits - form.state_fraction)
            for kind, power in (("mean", 1), ("square", 2)):
                decay = getattr(rule, kind)
                if decay is not None:
                    memory = f"{rule.names[power - 1]}/{SUFFIX[place]}"
                    after[memory] = self.memory(memory, decay, power, before[memory], seen[place], scales[place])
        return after

    def fraction(self, name: str) -> int:
        if name == "image":
            return self.program.plan.data[name].fraction_bits
        return self.formats[name].fraction_bits if name else 0

    def shifted(self, value: np.ndarray, shift: int) -> np.ndarray:
        return np.vectorize(lambda v: rounded(v, shift), otypes=[object])(value)

    def weight(self, name: str, before: np.ndarray, updates: list[np.ndarray], at: int) -> np.ndarray:
        """The integers of a weight after `at` steps."""
        form, rates = self.weights[name], [f32(self.rule.rate(self.count + s)) for s in range(self.training.steps)]
        kept = [1 - rate * f32(self.rule.decay) for rate in rates]
        total = integers(before) * nearest(self.product(kept[:at]), form.fraction_bits - form.state_fraction)
        plain = form.taps is None
        for s, update in enumerate(updates[:at]):
            tap = rates[s] / max(rates) * self.product(kept[s + 1 : at])
            total = total + form.step * (1 if plain else nearest(tap, form.tap_bits)) * update
        return total

    @staticmethod
    def product(numbers: list[Fraction]) -> Fraction:
        result = Fraction(1)
        for number in numbers:
            result *= number
        return result

    def update(self, place: str, seen: list, scale: int, before: dict, at: int, steps: int) -> np.ndarray:
        """u in integers, from the rounded gradients of the steps so far."""
        rule, end = self.rule, SUFFIX[place]
        root, made = self.formats[f"{end}/root"], self.formats[f"{end}/update"]
        if rule.mean is None:
            numerator, fraction = seen[-1], scale  # minus 1 / BATCH is left to the rate
        else:
            own, taps = self.mean(rule.mean, 1, steps, corrected=rule.corrected)
            memory = f"{rule.names[0]}/{end}"
            weakest = min(max(map(abs, row)) for row in taps)
            fraction = scale + TAP_BITS - exponent(weakest)
            numerator = integers(before[memory]) * nearest(own[at], fraction - self.weights[memory].state_fraction)
            for s, gradient in enumerate(seen):
                numerator = numerator + nearest(taps[at][s], fraction - scale) * gradient
        own, taps = self.mean(rule.square, 2, steps, corrected=rule.corrected)
        memory = f"{rule.names[1]}/{end}"
        twice = 2 * root.fraction_bits
        square = integers(before[memory]) ** 2 * nearest(own[at], twice - 2 * self.weights[memory].state_fraction)
        for s, gradient in enumerate(seen):
            square = square + nearest(taps[at][s], twice - 2 * scale) * gradient**2
        if rule.under:
            square = square + max(1, round(f32(rule.under) * 2**twice))
        divisor = np.vectorize(isqrt, otypes=[object])(square)
        if rule.beside:
            divisor = divisor + max(1, round(f32(rule.beside) * 2**root.fraction_bits))
        shift = made.fraction_bits - fraction + root.fraction_bits
        return np.vectorize(lambda n, d: floor(Fraction(n << shift, d) + Fraction(1, 2)), otypes=[object])(
            numerator, divisor
        )

    def memory(self, name: str, decay: float, power: int, before: np.ndarray, seen: list, scale: int) -> np.ndarray:
        """A mean after the block, as it is committed: the second by its root."""
        form, steps = self.weights[name], len(seen)
        own, taps = self.mean(decay, power, steps, corrected=False)
        if power == 2:
            bits = form.fraction_bits - 2 * form.state_fraction
            total = integers(before) ** 2 * nearest(own[-1], bits)
            for s, gradient in enumerate(seen):
                total = total + nearest(taps[-1][s], form.fraction_bits - 2 * scale) * gradient**2
            root = np.vectorize(isqrt, otypes=[object])(total)
            return self.shifted(root, form.fraction_bits // 2 - form.state_fraction)
        total = integers(before) * nearest(own[-1], form.fraction_bits - form.state_fraction)
        assert (form.step < 0) == (taps[-1][-1] < 0)
        for s, gradient in enumerate(seen):
            count = nearest(taps[-1][s] / taps[-1][-1], form.tap_bits)
            total = total + form.step * count * gradient
        return self.shifted(total, form.fraction_bits - form.state_fraction)
