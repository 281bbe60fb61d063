"""A trainer in Python integers that knows no circuit, and optimisers known by their impulses.

What an optimiser makes of a gradient is found by running it: Optax itself, in float64, on one number,
with one gradient of one and all others zero. What the trainer does with it is written out from the
mathematics of a network with one hidden layer, squared loss and weights that are sums over the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.steps.training import Training

LEAF = "w"


@dataclass(frozen=True)
class Impulses:
    """For every float leaf of the state of one weight, by name: `initial[other]` [T + 1], `taps` [T + 1, T]."""

    initial: dict[str, dict[str, np.ndarray]]
    taps: dict[str, np.ndarray]


def impulses(step: Callable[[Any, float], Any], state: Any, steps: int) -> Impulses:
    """The responses of `step(state, gradient)`, linear in float leaves and gradient, from the counters of `state`."""
    with jax.enable_x64(True):
        paths, structure = jax.tree_util.tree_flatten_with_path(state)
        names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths]
        places = [place for place, (_, value) in enumerate(paths) if jnp.asarray(value).dtype.kind == "f"]

        def run(first: int | None, kick: int | None) -> np.ndarray:
            """The float leaves [T + 1, leaves], all zero before but leaf `first`, with a gradient at step `kick`."""
            leaves = [jnp.asarray(value) for _, value in paths]
            for place in places:
                leaves[place] = jnp.asarray(float(place == first), jnp.float64)
            seen = [[float(leaves[place]) for place in places]]
            for at in range(steps):
                now = step(jax.tree_util.tree_unflatten(structure, leaves), jnp.asarray(float(at == kick)))
                leaves = jax.tree_util.tree_leaves(now)
                seen.append([float(leaves[place]) for place in places])
            return np.array(seen)

        kicks = [run(None, at) for at in range(steps)]
        starts = {names[place]: run(place, None) for place in places}
    taps = {names[place]: np.stack([kick[:, i] for kick in kicks], axis=1) for i, place in enumerate(places)}
    initial = {
        names[place]: {other: response[:, i] for other, response in starts.items() if response[:, i].any()}
        for i, place in enumerate(places)
    }
    return Impulses(initial, taps)


def optax_step(optimiser: Any) -> tuple[Callable, Any]:
    """An Optax optimiser on one weight, as `impulses` takes it."""
    import optax

    def step(state, gradient):
        updates, inner = optimiser.update({LEAF: gradient}, state["opt_state"], state["params"])
        return {"opt_state": inner, "params": optax.apply_updates(state["params"], updates)}

    with jax.enable_x64(True):
        params = {LEAF: jnp.zeros((), jnp.float64)}
        return step, {"opt_state": optimiser.init(params), "params": params}


def exact(constant: float) -> float:
    """A constant that float32 and float64 hold alike, so that the oracle's optimiser has the step's constants."""
    return float(np.float32(constant))


def rounded(value: int, shift: int) -> int:
    """value / 2**shift to the nearest integer, halves up."""
    return value if shift == 0 else (value + 2 ** (shift - 1)) // 2**shift


def nearest(value: float, bits: int) -> int:
    return floor(Fraction(value) * Fraction(2) ** bits + Fraction(1, 2))


def integers(values: Any) -> np.ndarray:
    return np.array(values, dtype=object)


@dataclass
class Trainer:
    """The block of `training` that starts at `before`, in Python integers; formats come from the program.

    `of` maps a leaf of the state to (leaf of one weight, leaf of the network that it belongs to); the
    network's are "first/kernel", "first/bias", "last/kernel", "last/bias" by `layers`.
    """

    training: Training
    program: Any
    found: Impulses
    of: Callable[[str], tuple[str, str]]
    layers: dict[str, str]

    def __post_init__(self) -> None:
        self.weights = self.program.plan.weights
        self.formats = {tensor.name: tensor for tensor in self.program.plan.tensors}

    def filter(self, name: str) -> tuple[dict[str, list[int]], list[list[int]], int]:
        """(coefficients of the leaves before, of the changes, factor of all changes) of a state leaf."""
        small, network = self.of(name)
        form = self.weights[name]
        initial = {}
        for other in self.weights:
            if self.of(other)[1] == network and self.of(other)[0] in self.found.initial[small]:
                row = self.found.initial[small][self.of(other)[0]]
                bits = form.fraction_bits - self.weights[other].state_fraction
                initial[other] = [nearest(value, bits) for value in row]
        taps = self.found.taps[small]
        largest = max((taps[t + 1, t] for t in range(taps.shape[1])), key=abs)
        sign = 1 if largest > 0 else -1
        rows = [[nearest(value / abs(largest), form.tap_bits) for value in row[:t]] for t, row in enumerate(taps)]
        return initial, [[sign * value for value in row] for row in rows], form.step

    def train(self, before: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
        """The integers of the state after the block."""
        filters = {name: self.filter(name) for name in self.weights}
        changes: dict[str, list[np.ndarray]] = {place: [] for place in self.layers}

        def leaf(name: str, at: int) -> np.ndarray:
            initial, taps, step = filters[name]
            total = sum(integers(before[other]) * row[at] for other, row in initial.items())
            for s, coefficient in enumerate(taps[at]):
                total = total + step * coefficient * changes[self.of(name)[1]][s]
            return total

        for at, chosen in enumerate(rows):
            weights = {place: (leaf(name, at), self.weights[name].fraction_bits) for place, name in self.layers.items()}
            for place, change in self.gradients(weights, chosen):
                changes[place].append(change)
        after = {}
        for name, form in self.weights.items():
            shift = form.fraction_bits - form.state_fraction
            after[name] = np.vectorize(lambda v, s=shift: rounded(v, s), otypes=[object])(leaf(name, len(rows)))
        return after

    def gradients(self, weights: dict[str, tuple[np.ndarray, int]], chosen: np.ndarray) -> Iterator[tuple]:
        """What moves each leaf of the network: the negative gradient of the loss, summed over the batch."""
        plan = self.program.plan
        limit = 2**plan.precision.bits - 1
        form = plan.data["image"]
        images = integers(np.rint(self.training.data["image"][chosen] * 2**form.fraction_bits).astype(int))
        labels = integers(self.training.data["label"][chosen].astype(int))
        wide, f_wide = self.affine(images, form.fraction_bits, weights, "first")
        pre, f_pre = self.rescaled("pre_activation", wide, f_wide)
        gate = ((pre > 0) & (pre <= limit)).astype(int)
        hidden = np.clip(pre, 0, limit)
        logits, f_logits = self.affine(hidden, f_pre, weights, "last")
        error = labels * 2**f_logits - logits
        fold = plan.fold
        if fold is not None:
            error, f_error = self.rescaled("loss_gradient/unscaled", error, f_logits)
            error, f_error = self.rescaled("loss_gradient", error * fold.multiplier, f_error + fold.power)
        else:
            error, f_error = self.rescaled("loss_gradient", error, f_logits)
        kernel, f_kernel = weights["last/kernel"]
        back, _ = self.rescaled("gradient", error.dot(kernel.T), f_error + f_kernel)
        back = gate * np.clip(back, -limit, limit)
        yield "last/kernel", hidden.T.dot(error)
        yield "last/bias", error.sum(axis=0)
        yield "first/kernel", images.T.dot(back)
        yield "first/bias", back.sum(axis=0)

    def affine(self, x: np.ndarray, fraction: int, weights: dict, layer: str) -> tuple[np.ndarray, int]:
        (kernel, f_kernel), (bias, f_bias) = weights[f"{layer}/kernel"], weights[f"{layer}/bias"]
        common = max(fraction + f_kernel, f_bias)
        total = x.dot(kernel) * 2 ** (common - fraction - f_kernel)
        return total + bias[None] * 2 ** (common - f_bias), common

    def rescaled(self, ending: str, value: np.ndarray, fraction: int) -> tuple[np.ndarray, int]:
        (form,) = [tensor for name, tensor in self.formats.items() if name.endswith(f"/{ending}")]
        assert form.shift == fraction - form.fraction_bits
        return np.vectorize(lambda v: rounded(v, form.shift), otypes=[object])(value), form.fraction_bits
