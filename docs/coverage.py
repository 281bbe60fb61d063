"""Prints docs/coverage.md: what of a training step can be proved, from the rules and the compiler themselves.

python docs/coverage.py > docs/coverage.md

Each primitive of the rules has an example below. It is compiled, and the page says which nodes it becomes and what it
costs; what a node means in integers and how far it is from real numbers stands here, once for each kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import zkjax
from zkjax.fixedpoint import nodes
from zkjax.fixedpoint.nodes import RealNode
from zkjax.frontend.preparation import FURTHER_ELEMENTWISE, REDUCTIONS
from zkjax.frontend.rules import RULES
from zkjax.frontend.rules.rule import Rule
from zkjax.frontend.trace import INLINED, MAX_UNROLLED, live, trace
from zkjax.frontend.unsupported import REMEDIES
from zkjax.statement.tables import MAX_TABLE_BITS

ROWS, WIDTH = 16, 4

HEAD = f"""\
# Coverage

Made by `python docs/coverage.py > docs/coverage.md` from the rules and the compiler; a test keeps it current.

A training step is traced to a jaxpr. Calls are inlined
({", ".join(f"`{name}`" for name in sorted(INLINED))}),
loops of at most {MAX_UNROLLED} turns (`scan`) are unrolled, and every primitive that is left has one rule, which makes
nodes of a few kinds. What has no rule is refused before any work, all of it at once, with source lines and a remedy.

A real number v is an integer q of f fraction bits, v = q * 2^-f; each tensor has its own f, and one unit of its last
place is 2^-f. A value is *narrow* if it has few magnitude bits ({"`bits=`"}, 12 unless told otherwise, and three more
before a run is refused). Factors of products but for weights, and arguments of tables, are narrow; a value that is not
is rounded once, where it is made, and all its uses read the rounded one:

    q = floor((p + 2^(s-1)) / 2^s)

for exact integers p of s more fraction bits. That is the nearest integer, halves upwards, at most half a unit of the
last place off. It costs one committed element and two lookups where s is at most 16, and one of each more for each
further 16 bits (wider limbs for large tensors).
Everything else between two roundings is exact, whereas float32 rounds at every operation.
"""

# What each kind of node means: its name, what its integers are, and how far they are from the real function of the
# integers that it reads. Tested by tests/fixedpoint/test_function_errors.py and tests/fixedpoint/test_coverage.py.
MEANING: dict[type, tuple[str, str, str]] = {
    nodes.StateLeaf: ("leaf of the state", "exact integers between the steps of a block", "half a unit, once a block"),
    nodes.DataLeaf: ("leaf of the batch", "the scheduled rows of the committed data", "half a unit; none where exact"),
    nodes.Uniform: ("constant", "one public integer", "none if it is dyadic and short, else 2^-20 of it"),
    nodes.Public: ("public number", "one public integer for each step", "2^-10 of the largest of the block"),
    nodes.PublicArray: (
        "public array",
        "explicit integers in the circuit: masks, constants of the closure",
        "none where 16 bits hold all entries; else 2^-14 of the largest",
    ),
    nodes.Paced: ("times a public number", "each step times its public integer", "2^-10 of the largest of the block"),
    nodes.Linear: ("sum", "exact sum of integers times public integers", "none; a factor that is not dyadic, 2^-15"),
    nodes.Axes: ("axes", "the same integers moved, repeated, or summed exactly", "none"),
    nodes.Product: ("product", "exact sum of products", "none; half a unit where it is rounded"),
    nodes.Relu: ("rectifier", "q where 0 < q, else 0; at most the limit 2^bits - 1", "none up to the limit"),
    nodes.Gated: ("gate", "q clipped to the limit where its gate is in (0, limit], else 0", "none up to the limit"),
    nodes.Function: ("table", "floor(2^o * F(q * 2^-i) + 1/2 + 2^-64), F the formula", "half a unit, 2^-(o+1)"),
    nodes.Reciprocal: ("reciprocal", "floor((2^(s+1) + d) / 2d) for a divisor d, by its remainder", "half a unit"),
    nodes.Root: ("root", "floor(sqrt(p)) of the exact integers p, by its remainder", "a unit of a wide root"),
    nodes.Ratio: ("ratio", "floor((2^(s+1) n + d) / 2d), entry by entry, by its remainder", "half a unit"),
    nodes.Moment: ("moment", "public filter of memories and of what they take up", "2^-12 of its coefficients"),
    nodes.Maximum: ("maximum", "the largest integer of a row, by a hidden selector", "none"),
    nodes.First: ("first largest", "1 at the first of the largest integers of a row, else 0", "none"),
    nodes.Positive: ("sign", "1 where 0 < q, else 0, on the whole range of q; for outputs", "none"),
    nodes.Bit: ("bit", "data that are 0 or 1; for outputs", "none"),
    nodes.OneHot: ("one-hot", "1 at the place of the label, else 0", "none"),
}  # fmt: skip
VIRTUAL = (
    nodes.StateLeaf,
    nodes.DataLeaf,
    nodes.Uniform,
    nodes.Public,
    nodes.PublicArray,
    nodes.Paced,
    nodes.Linear,
    nodes.Axes,
)

# An example of each primitive: an expression of `z`, computed values [rows, 4], integer labels `y` [rows], a number
# `rate` that follows from a counter, and `w`, the weights [rows, 4] that z is made of.
EXAMPLES = {
    "abs": "jnp.abs(z)",
    "add": "z + 0.5",
    "add_any": "z + jax.grad(lambda a: (a + a * z).sum())(z)",
    "argmax": "(jnp.argmax(z, axis=-1) == y).astype(z.dtype)",
    "broadcast_in_dim": "jnp.broadcast_to(z[None], (2, *z.shape)).sum(axis=0)",
    "concatenate": "z[jnp.arange(len(y)), y]",
    "convert_element_type": "z.astype(jnp.float16).astype(jnp.float32)",
    "copy": "jnp.copy(z)",
    "div": "z / jnp.exp(z / 16).sum(axis=-1, keepdims=True)",
    "dot_general": "jnp.einsum('ri,ri->r', z, z)",
    "eq": "z * (y[:, None] == jnp.arange(4)[None])",
    "erf": "lax.erf(z)",
    "erfc": "lax.erfc(z)",
    "exp": "jnp.exp(z / 16)",
    "exp2": "jnp.exp2(z / 16)",
    "expm1": "jnp.expm1(z / 16)",
    "gather": "jnp.take_along_axis(z, y[:, None], axis=-1)",
    "ge": "(z >= 0.5).astype(z.dtype)",
    "gt": "(z > 0.5).astype(z.dtype)",
    "integer_pow": "z**3",
    "is_finite": "jnp.isfinite(z) * z",
    "le": "(z <= 0.5).astype(z.dtype)",
    "log": "jnp.log(1 + jnp.exp(z))",
    "log1p": "jnp.log1p(jnp.exp(z))",
    "logistic": "jax.nn.sigmoid(z)",
    "lt": "(z < 0.5).astype(z.dtype)",
    "max": "jnp.maximum(z, 0.5)",
    "min": "jnp.minimum(z, 0.5)",
    "mul": "z * z",
    "ne": "z * (y[:, None] != jnp.arange(4)[None])",
    "neg": "-z",
    "not": "~(z > 0.5) * z",
    "pow": "jnp.pow(z, jnp.float32(2))",
    "reduce_max": "z.max(axis=-1)",
    "reduce_precision": "lax.reduce_precision(z, 8, 10)",
    "reduce_sum": "z.sum(axis=-1)",
    "reshape": "z.reshape(*z.shape, 1).sum(axis=-1)",
    "scatter-add": "z.at[jnp.arange(len(y)), y].add(1)",
    "rsqrt": "lax.rsqrt((z * z).sum(axis=-1, keepdims=True) + 0.25) * z",
    "select_n": "jnp.where(z > 0.5, z, 0.25)",
    "sign": "jnp.sign(z)",
    "sqrt": "jnp.sqrt(1 + z * z)",
    "square": "jnp.square(z)",
    "squeeze": "jnp.squeeze(z[:, None], 1)",
    "stop_gradient": "lax.stop_gradient(z)",
    "sub": "z - 0.5",
    "tanh": "jnp.tanh(z)",
    "transpose": "z.T.T",
}

PRIMITIVES = f"""\
## Primitives

The costs are those of the example, for each entry of its result, where z is of shape [{ROWS}, {WIDTH}] and computed;
rounding z itself is left out. A dash is nothing at all. An error is in units of the last place of what is made.

| primitive | rule | example | nodes | error | committed elements | lookups |
| --- | --- | --- | --- | --- | --- | --- |"""

# What users call the primitives without a rule.
KNOWN_AS = {
    "conv_general_dilated": "convolution",
    "reduce_window_max": "max pooling",
    "reduce_window_sum": "mean pooling",
    "select_and_scatter_add": "derivative of max pooling",
    "dynamic_slice": "slice at a computed place",
    "while": "`lax.while_loop`, `lax.fori_loop`",
    "cond": "`lax.cond`, `lax.switch`",
    "scan": f"`lax.scan` of more than {MAX_UNROLLED} turns",
    "random_bits": "`jax.random`",
}
REFUSED = """\
A primitive that has a rule is refused where its rule cannot translate it. The usual cases:

| what | why |
| --- | --- |
| attention, and any softmax inside of the network | its derivative divides by the square of a sum; a softmax is proved in front of the loss |
| recurrent layers: a scan over time | a slice of computed values or of data; a loop runs over stacked parameters only |
| embeddings, and other indices than labels along the last axis | a `gather` or `scatter-add` of a general kind |
| `sort`, `top_k` | the order of hidden values |
| an index that is computed, but for an `argmax` that is compared with labels or another | labels are the only indices |
| a reshape of computed values that merges or splits axes | only axes of size one come and go |
| a division by, or a power of, a value not known to be positive | sums of exponentials are, and roots with a positive constant beside or under them |
| a product of two weights | one factor must come from the data |
| Lion, `sign_sgd` | a gradient that rounds to zero has no sign |
| AdaBelief, centred RMSProp, Adadelta | roots are taken of means of squared gradients, not of squares of what many steps make |
| `slice`, `pad`, `stack`, `concatenate` of computed values | they are for layers stacked along the leading axis of a leaf of the state |
"""  # noqa: E501


@dataclass(frozen=True)
class Compiled:
    """An example as a program of one step; `entries` are those of its result."""

    program: zkjax.Program
    train_step: Callable
    state: dict[str, Any]
    batch: dict[str, Any]
    entries: int

    @property
    def nodes(self) -> Counter[type]:
        return Counter(type(node) for node in self.program.plan.step.nodes)


def main() -> None:
    print(HEAD)
    print("## Nodes\n\n| node | integers | error |\n| --- | --- | --- |")
    for kind in get_args(RealNode):
        print("| {} | {} | {} |".format(*MEANING[kind]))
    print(
        f"\nTables have at most 2^{MAX_TABLE_BITS} rows and are shared: one for each function and range, however many "
        "layers look it up.\n"
    )
    print(PRIMITIVES)
    for line in lines():
        print(line)
    print("\n## Refused\n\n" + REFUSED)
    print("| primitive without a rule | what to do instead |\n| --- | --- |")
    for name in sorted(REMEDIES.keys() - RULES.keys()):
        known = f", {KNOWN_AS[name]}" if name in KNOWN_AS else ""
        print(f"| `{name}`{known} | {REMEDIES[name]} |")
    print("\nAny other primitive without a rule is refused as well.\n")
    print("## Data\n")
    print("What a step computes from the batch alone, row by row, and has no rule, is committed as its result:")
    names = [f"`{name}`" for name in sorted((FURTHER_ELEMENTWISE | REDUCTIONS) - RULES.keys())]
    print(f"{', '.join(names)}.")


def lines() -> Iterator[str]:
    """A line of the table for each primitive that has a rule."""
    base = compiled("z")
    for name, rule in sorted(RULES.items()):
        made = compiled(EXAMPLES[name], name)
        more = made.nodes - base.nodes
        real = [kind for kind in MEANING if kind in more and kind not in VIRTUAL]
        shown = [kind for kind in real if kind is not nodes.Function]
        formulas = [node.formula for node in made.program.plan.step.nodes if isinstance(node, nodes.Function)]
        integers = [f"table of `{formula}`" for formula in formulas]
        integers += [MEANING[kind][0] for kind in shown or ([] if formulas else [k for k in MEANING if k in more])]
        errors = dict.fromkeys(MEANING[kind][2] for kind in real if MEANING[kind][2] != "none")
        cells = [
            f"`{name}`",
            f"`{rule_name(rule)}`",
            f"`{EXAMPLES[name]}`",
            ", ".join(integers) or "the value itself",
            "; ".join(errors) or "none",
            *(_per_entry(made, base) if real else "--"),
        ]
        yield "| " + " | ".join(cells) + " |"


def rule_name(rule: Rule) -> str:
    """Module and function, without what a factory calls its inner one."""
    module = rule.__module__.rpartition(".")[2]
    return f"{module}.{rule.__qualname__.partition('.')[0]}"


def _per_entry(made: Compiled, base: Compiled) -> Iterator[str]:
    for count in ("committed_elements", "lookup_entries"):
        more = getattr(made.program.circuit, count) - getattr(base.program.circuit, count)
        yield f"{more / made.entries:.3g}"


def compiled(example: str, primitive: str | None = None) -> Compiled:
    """The step `w - example`, whose batch is the unit matrix, so that z = w.

    Raises ValueError if `primitive` does not occur in it.
    """
    random = np.random.default_rng(0)
    # Odd multiples of 2^-7: exact in few bits, and nowhere where a comparison is undecided.
    weights = ((2 * random.integers(-128, 128, (ROWS, WIDTH)) + 1) / 128).astype(np.float32)
    batch = {"x": np.eye(ROWS, dtype=np.float32), "y": (np.arange(ROWS) % WIDTH).astype(np.int32)}
    state = {"w": weights, "count": jnp.int32(1)}
    entries = 0

    def train_step(state, batch):
        nonlocal entries
        names = {"z": batch["x"] @ state["w"], "y": batch["y"], "jax": jax, "jnp": jnp, "lax": lax}
        result = eval(example, names)
        entries = result.size
        if result.ndim == 1:
            result = result[:, None]
        change = batch["x"].T @ jnp.broadcast_to(result, (ROWS, WIDTH))
        return {"w": state["w"] - change, "count": state["count"] + 1}

    traced, _ = trace(train_step, state, batch)
    made = {equation.name for equation in live(traced, traced.outputs).equations}
    if primitive is not None and primitive not in made:
        raise ValueError(f"the example of {primitive!r}, {example}, is traced without it")
    return Compiled(zkjax.compile(train_step, state, batch, steps=1), train_step, state, batch, entries)


if __name__ == "__main__":
    main()
