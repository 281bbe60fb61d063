"""Three ways to prove a ReLU and its derivative, with the same meaning, through the real prover.

    lookup    one tuple lookup for value and gate, one for the gated gradient: `CircuitBuilder.relu`
    bits      all bits of the pre-activation and of the gradient committed, each in {0, 1}; outputs
              and gates are products with the bits, as in zkDL (arXiv 2307.16273)
    ranges    one bit per comparison, tied by a range check; outputs and gates are products
    none      what the three share: pre-activation and gradient committed and range-checked

With q the pre-activation and g the gradient that arrives, both in [1 - 2^(a+h), 2^(a+h)] for `a`
magnitude bits and `h` bits of headroom, all three prove

    gate = [0 < q <= 2^a],    output = min(max(q, 0), 2^a),    gated = gate * clip(g, -2^a, 2^a).

These thresholds are the ones that suit bits best (the compiler's limit is 2^a - 1). Without headroom
nothing saturates, which is the case of the zkDL paper. Every output is read `--reads` times, by
the state after: in a training step the matrix products read it, and four or more claims come back.
An output that is a product is virtual, nothing is committed for it and each of its claims goes
through a sumcheck; with `--commit-outputs` it is committed, range-checked and tied to the product by
one claim. Tables are shared between the layers.

The proofs of all variants take turns, so that a busy machine disturbs them alike; medians are
printed, and beside the time on the clock the processor time of all cores, which other programs
disturb less. Committed elements and lookups do not count padding, nor the multiplicities.

    python benchmarks/relu.py --shape 16,64,128 --layers 2 --headroom 3 --json relu.json
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table as PrintedTable

from zkjax.circuit.builder import CircuitBuilder
from zkjax.circuit.program import Lowered
from zkjax.circuit.recipes import Gated, Quotient, ReluGate, ReluOutput, ValueLimb
from zkjax.cli.process import keep_freed_memory, peak_memory, run_where_called
from zkjax.cli.progress import Stages
from zkjax.prover.checkpoint import Checkpoint
from zkjax.prover.prove import Commitments, prove_block
from zkjax.statement.parameters import DEFAULT_OPENINGS
from zkjax.statement.plan import Plan
from zkjax.verifier import verify
from zkjax.witness.check import check_lookups
from zkjax.witness.execute import Witness, execute

ROWS = 64
SEED = 0
STAGES = ("Commitment", "Lookups", "Claims", "Opening")


def arguments() -> argparse.Namespace:
    def shape(text: str) -> tuple[int, int, int]:
        steps, batch, width = map(int, text.split(","))
        return steps, batch, width

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=shape, default=(16, 64, 128), metavar="STEPS,BATCH,WIDTH", help="of a layer")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--reads", type=int, default=4, help="claims on each output")
    parser.add_argument("--commit-outputs", action="store_true", help="commit to outputs that are products")
    parser.add_argument("--bits", type=int, default=12, help="magnitude bits of outputs")
    parser.add_argument("--headroom", type=int, default=3, help="bits of a pre-activation above those")
    parser.add_argument("--repeat", type=int, default=5, help="warm proofs of each variant")
    parser.add_argument("--variants", nargs="+", choices=tuple(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    return parser.parse_args()


@dataclass(frozen=True)
class Layer:
    """The circuit under construction around one ReLU layer.

    `forward` and `backward` [steps, batch, width] are the pre-activation and the arriving gradient
    as batches of the data set; a variant commits to their like and ties those to them.
    """

    b: CircuitBuilder
    name: str
    bits: int
    headroom: int
    commit_outputs: bool
    forward: int
    backward: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.b.shape(self.forward)

    @property
    def limit(self) -> int:
        return 1 << self.bits

    @property
    def reach(self) -> int:
        """Inputs lie in [1 - reach, reach]."""
        return 1 << (self.bits + self.headroom)

    def committed(self, name: str, recipe: Any) -> int:
        return self.b.committed(f"{self.name}/{name}", self.shape, oracle="advice", recipe=recipe)

    def input(self, name: str, source: int) -> int:
        """A committed copy of `source`."""
        copy = self.committed(name, Quotient(source, 0))
        self.b.zeros.append(self.b.combine((1, copy), (-1, source)))
        return copy

    def bit(self, name: str, recipe: Any) -> int:
        bit = self.committed(name, recipe)
        self.range_check(bit, 0, 1, name)
        return bit

    def range_check(self, node: int, lo: int, hi: int, name: str) -> None:
        self.b.range_check(node, lo, hi, f"{self.name}/{name}")

    def tied(self, name: str, value: int, recipe: Any, lo: int, hi: int) -> int:
        """A committed tensor equal to a virtual one, so that only one claim reaches the products in that."""
        tensor = self.committed(name, recipe)
        self.range_check(tensor, lo, hi, name)
        self.b.zeros.append(self.b.combine((1, tensor), (-1, value)))
        return tensor

    def output(self, value: int, source: int) -> int:
        """The output, `value`, committed if the options say so."""
        recipe = ReluOutput(source, self.limit)
        return self.tied("output", value, recipe, 0, self.limit) if self.commit_outputs else value

    def gated(self, value: int, source: int, gate: int) -> int:
        """The gated gradient, `value`, committed if the options say so."""
        recipe = Gated(source, gate, self.limit)
        return self.tied("gated", value, recipe, -self.limit, self.limit) if self.commit_outputs else value

    def constant(self, value: int) -> int:
        return self.b.constant(self.shape, value)

    def complement(self, bit: int) -> int:
        return self.b.combine((1, self.constant(1)), (-1, bit))

    def product(self, left: int, right: int) -> int:
        return self.b.contract(left, right, "tno,tno->tno")


def nothing(layer: Layer) -> tuple[int, int]:
    """The inputs themselves."""
    inputs = layer.input("q", layer.forward), layer.input("g", layer.backward)
    for node, name in zip(inputs, "qg", strict=True):
        layer.range_check(node, 1 - layer.reach, layer.reach, name)
    return inputs


def by_lookup(layer: Layer) -> tuple[int, int]:
    """(output, gated gradient) by two tuple lookups."""
    bounds = {"lo": 1 - layer.reach, "hi": layer.reach, "limit": layer.limit, "name": layer.name}
    output, gate = layer.b.relu(layer.input("q", layer.forward), **bounds)
    return output, layer.b.gated(layer.input("g", layer.backward), gate, **bounds)


def by_bits(layer: Layer) -> tuple[int, int]:
    """(output, gated gradient) from all bits of q - 1 and g - 1; the top one is set for positive values."""
    b = layer.b
    q, g = layer.input("q", layer.forward), layer.input("g", layer.backward)
    *high, positive = _bits(layer, q, "q")
    if not layer.headroom:
        _bits(layer, g, "g")
        return layer.output(layer.product(positive, q), q), layer.gated(layer.product(positive, g), g, positive)
    product = positive
    for bit in high:
        product = layer.product(product, layer.complement(bit))
    gate = layer.tied("gate", product, ReluGate(q, layer.limit), 0, 1)
    below = b.combine((1, q), (-layer.limit, layer.constant(1)))
    output = b.combine((1, layer.product(gate, below)), (layer.limit, positive))

    *high, positive = _bits(layer, g, "g")
    all_clear, all_set = layer.complement(high[0]), high[0]
    for bit in high[1:]:
        all_clear, all_set = layer.product(all_clear, layer.complement(bit)), layer.product(all_set, bit)
    difference = b.combine((1, all_clear), (-1, all_set))
    within = b.combine((1, layer.product(positive, difference)), (1, all_set))
    bound = b.combine((2 * layer.limit, positive), (-layer.limit, layer.constant(1)))
    clip = b.combine((1, layer.product(within, b.combine((1, g), (-1, bound)))), (1, bound))
    return layer.output(output, q), layer.gated(layer.product(gate, clip), g, gate)


def _bits(layer: Layer, node: int, name: str) -> list[int]:
    """The bits of node - 1 + reach from number `bits` on; all are proved, the lowest as what remains."""
    bias = layer.reach - 1
    terms = [(1, node), (bias, layer.constant(1))]
    bits = []
    for k in range(1, layer.bits + layer.headroom + 1):
        bits.append(layer.bit(f"{name}[{k}]", ValueLimb(node, bias, k, 1)))
        terms.append((-(1 << k), bits[-1]))
    layer.range_check(layer.b.combine(*terms), 0, 1, f"{name}[0]")
    return bits[layer.bits - 1 :]


def by_ranges(layer: Layer) -> tuple[int, int]:
    """(output, gated gradient) by comparisons and products.

    The gradient is clip + over - under; over vanishes unless clip is the limit, and under unless
    it is minus the limit, because (limit - clip) over + (limit + clip) under = 0 has no negative
    terms.
    """
    b, limit = layer.b, layer.limit
    q = layer.input("q", layer.forward)
    positive = _comparison(layer, q, 0, "positive")
    if not layer.headroom:
        g = layer.input("g", layer.backward)
        layer.range_check(g, 1 - layer.reach, layer.reach, "g")
        return layer.output(layer.product(positive, q), q), layer.gated(layer.product(positive, g), g, positive)
    beyond = _comparison(layer, q, limit, "beyond")
    gate = b.combine((1, positive), (-1, beyond))
    output = layer.output(b.combine((1, layer.product(gate, q)), (limit, beyond)), q)
    g, one = layer.backward, layer.constant(1)
    clip = layer.committed("clip", Gated(g, one, limit))
    over = layer.committed("over", ReluOutput(b.combine((1, g), (-limit, one)), layer.reach))
    under = layer.committed("under", ReluOutput(b.combine((-1, g), (-limit, one)), layer.reach))
    layer.range_check(clip, -limit, limit, "clip")
    layer.range_check(over, 0, layer.reach - limit, "over")
    layer.range_check(under, 0, layer.reach - limit, "under")
    b.zeros.append(b.combine((1, clip), (1, over), (-1, under), (-1, g)))
    excess = b.combine((1, over), (-1, under))
    b.zeros.append(b.combine((limit, over), (limit, under), (-1, layer.product(clip, excess))))
    return output, layer.gated(layer.product(gate, clip), g, gate)


def _comparison(layer: Layer, node: int, threshold: int, name: str) -> int:
    """The bit [node > threshold], for a node in [1 - reach, reach] and 0 <= threshold."""
    b, span = layer.b, layer.reach + threshold
    shifted = b.combine((1, node), (-threshold, layer.constant(1)))
    bit = layer.bit(name, ReluGate(shifted, span))
    # Either the bit is 1 and shifted - 1 is not negative, or it is 0 and shifted - 1 is.
    layer.range_check(
        b.combine((1, shifted), (span - 1, layer.constant(1)), (-span, bit)), 0, span - 1, f"{name}/range"
    )
    return bit


Variant = Callable[[Layer], tuple[int, int]]
VARIANTS: dict[str, Variant] = {"none": nothing, "lookup": by_lookup, "bits": by_bits, "ranges": by_ranges}


def circuit(variant: Variant, options: argparse.Namespace) -> Lowered:
    """A block of layers beside each other; each state leaf collects the sums of all outputs."""
    steps, batch, width = options.shape
    b = CircuitBuilder(steps=steps, batch=batch, rows=ROWS)
    reach, shift = 1 << (options.bits + options.headroom), sum_shift(options)
    sums = []
    for number in range(options.layers):
        name, inputs = f"layer{number}", []
        for way in ("forward", "backward"):
            data = b.committed(f"{name}/{way}", (ROWS, width), oracle="data")
            b.range_check(data, 1 - reach, reach, f"data/{name}/{way}")
            inputs.append(b.rows(data))
        outputs = variant(Layer(b, name, options.bits, options.headroom, options.commit_outputs, *inputs))
        sums += [b.axes(output, (2,), (width,)) for output in outputs]
    for number in range(options.reads):
        leaf = f"sums{number}"
        before = b.state_before(leaf, (width,), fraction_bits=0, bits=17)
        total = b.combine((1 << shift, before), *((1, part) for part in sums))
        b.state_after(leaf, total, shift, fraction_bits=0, bits=17)
    return b.finish()


def sum_shift(options: argparse.Namespace) -> int:
    """By how many bits the sums are rounded, so that they fit the range of the state."""
    steps, batch, _ = options.shape
    return (steps * batch * options.layers).bit_length() + options.headroom


def inputs(lowered: Lowered, options: argparse.Namespace) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Values like a trained network's: half negative, few beyond the limit, some exactly at a threshold."""
    random = np.random.default_rng(SEED)
    reach, limit = 1 << (options.bits + options.headroom), 1 << options.bits
    data = {}
    for node in lowered.circuit.committed("data"):
        values = np.rint(random.normal(0, limit / 2, lowered.circuit.nodes[node].shape))
        values.flat[:9] = [0, 1, -1, limit, limit + 1, -limit, -limit - 1, reach, 1 - reach]
        data[node] = np.clip(values, 1 - reach, reach).astype(np.int64)
    steps, batch, _ = options.shape
    return data, random.integers(0, ROWS, (steps, batch), dtype=np.int32)


def expected_state(lowered: Lowered, options: argparse.Namespace) -> np.ndarray:
    """Every leaf of the state after, from what the three variants mean."""
    data, schedule = inputs(lowered, options)
    named = {lowered.circuit.nodes[node].name: values[schedule] for node, values in data.items()}
    limit, shift, total = 1 << options.bits, sum_shift(options), 0
    for number in range(options.layers):
        q, g = named[f"layer{number}/forward"], named[f"layer{number}/backward"]
        outputs = np.clip(q, 0, limit) + ((q > 0) & (q <= limit)) * np.clip(g, -limit, limit)
        total += outputs.sum(axis=(0, 1))
    return (total + (1 << (shift - 1))) >> shift


@dataclass
class Case:
    """One variant, ready to be proved."""

    lowered: Lowered
    witness: Witness
    plan: Plan
    commitments: Commitments
    seconds: dict[str, list[float]]
    processor: list[float]
    verifying: list[float]
    proof_bytes: int = 0

    @classmethod
    def of(cls, variant: Variant, options: argparse.Namespace) -> Case:
        lowered = circuit(variant, options)
        data, schedule = inputs(lowered, options)
        states = lowered.circuit.committed("before")
        before = {state: np.zeros(lowered.circuit.nodes[state].shape, np.int64) for state in states}
        witness = execute(lowered, data, before, schedule)
        check_lookups(lowered, witness)
        expected = expected_state(lowered, options)
        right = (np.array_equal(witness.values[after], expected) for after in lowered.circuit.committed("after"))
        if variant is not nothing and not all(right):
            raise SystemExit(f"{variant.__name__} computes something else")
        plan = Plan(lowered.circuit, DEFAULT_OPENINGS)
        roles = {}
        for role in ("data", "before", "after"):
            tensors = {node: witness.values[node] for node in lowered.circuit.committed(role)}
            roles[role] = Checkpoint.commit(plan, role, tensors)
        return cls(lowered, witness, plan, Commitments(**roles), {}, [], [])

    def prove(self, *, keep: bool) -> None:
        started = time.process_time()
        with Stages({}, console=Console(quiet=True)) as stages:
            statement, proof = prove_block(self.lowered, self.witness, self.commitments, self.plan, stages.enter)
        processor = time.process_time() - started
        started = time.perf_counter()
        verify(statement, proof)
        if keep:
            self.processor.append(processor)
            self.verifying.append(time.perf_counter() - started)
            for stage, spent in stages.seconds.items():
                self.seconds.setdefault(stage, []).append(spent)
        self.proof_bytes = len(proof.to_bytes())

    def result(self, options: argparse.Namespace) -> dict[str, Any]:
        circuit = self.lowered.circuit
        activations = options.layers * int(np.prod(options.shape))
        advice = sum(int(np.prod(circuit.nodes[node].shape)) for node in circuit.committed("advice"))
        per_activation = [lookup for lookup in circuit.lookups if len(circuit.nodes[lookup.re].shape) == 3]
        medians = {stage: statistics.median(spent) for stage, spent in self.seconds.items()}
        return {
            "committed": advice / activations,
            "lookups": len(per_activation) / options.layers,
            "products": sum(len(phase.nodes) for phase in self.plan.phases) / options.layers,
            "product_claims": sum(phase.instances for phase in self.plan.phases) / options.layers,
            "table_rows": sum(1 << table.bits for table in circuit.tables),
            "seconds": medians,
            "prove_seconds": sum(medians.values()),
            "processor_seconds": statistics.median(self.processor),
            "verify_seconds": statistics.median(self.verifying),
            "proof_bytes": self.proof_bytes,
        }


def main() -> None:
    options = arguments()
    keep_freed_memory()
    run_where_called()
    cases = {name: Case.of(VARIANTS[name], options) for name in options.variants}
    for turn in range(options.repeat + 1):
        for case in cases.values():
            case.prove(keep=turn > 0)
    results = {name: case.result(options) for name, case in cases.items()}
    document = {
        "shape": options.shape,
        "layers": options.layers,
        "reads": options.reads,
        "commit_outputs": options.commit_outputs,
        "activations": options.layers * int(np.prod(options.shape)),
        "bits": options.bits,
        "headroom": options.headroom,
        "repeat": options.repeat,
        "backend": jax.default_backend(),
        "processor": platform.processor() or platform.machine(),
        "peak_rss_bytes": peak_memory(),
        "variants": results,
    }
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    print_results(document)


def print_results(document: dict[str, Any]) -> None:
    shape, activations = " x ".join(map(str, document["shape"])), document["activations"]
    title = (
        f"ReLU and its derivative: {document['layers']} x {shape} activations, outputs read {document['reads']} times\n"
        f"{document['bits']} bits, {document['headroom']} of headroom, products "
        f"{'committed' if document['commit_outputs'] else 'virtual'}; medians of {document['repeat']}, "
        f"{document['backend']}, {document['processor']}"
    )
    table = PrintedTable("per activation", *document["variants"], title=title, title_justify="left")
    results = list(document["variants"].values())

    def row(name: str, cells: list[str]) -> None:
        table.add_row(name, *cells)

    row("committed elements", [f"{result['committed']:.2f}" for result in results])
    row("lookups", [f"{result['lookups']:.0f}" for result in results])
    row("products", [f"{result['products']:.0f}" for result in results])
    row("claims on products", [f"{result['product_claims']:.0f}" for result in results])
    row("rows of all tables", [f"{result['table_rows'] / activations:.2f}" for result in results])
    for stage in STAGES:
        row(f"{stage.lower()}, us", [f"{1e6 * result['seconds'][stage] / activations:.2f}" for result in results])
    row("proving, us", [f"{1e6 * result['prove_seconds'] / activations:.2f}" for result in results])
    row("processor time, us", [f"{1e6 * result['processor_seconds'] / activations:.2f}" for result in results])
    table.add_section()
    row("proving in all, s", [f"{result['prove_seconds']:.2f}" for result in results])
    row("verification, s", [f"{result['verify_seconds']:.2f}" for result in results])
    row("proof, kB", [f"{result['proof_bytes'] / 1000:.0f}" for result in results])
    Console(width=110, soft_wrap=True).print(table)


if __name__ == "__main__":
    main()
