"""Hand-built dense training blocks for tests: the circuit of an MLP with squared loss and SGD.

Independent of the frontend, so that the proof system can be tested on small shapes at will.
"""

from __future__ import annotations

from dataclasses import dataclass

from zkjax.circuit.builder import CircuitBuilder
from zkjax.circuit.program import Lowered
from zkjax.statement.filters import matrix


@dataclass(frozen=True)
class DenseShape:
    """Layer widths (inputs first, classes last), batch, steps and rows of the data set."""

    widths: tuple[int, ...] = (5, 6, 3)
    batch: int = 4
    steps: int = 3
    rows: int = 16
    bits: int = 12
    activation_fraction: int = 10
    weight_fraction: int = 28
    input_fraction: int = 4
    momentum: bool = False


# A coarse momentum: by steps since, what the weights and the momentum get of an update, and by steps
# gone, what they get of the momentum before (in eighths).
WEIGHT_TAPS, TRACE_TAPS = (1, 2, 2, 3), (4, 3, 2, 2)
WEIGHT_SHARE, TRACE_SHARE = (0, 3, 5, 6, 7), (8, 6, 4, 3, 2)
TRACE_BITS = 20


def dense_block(shape: DenseShape = DenseShape()) -> Lowered:
    """Circuit of `steps` SGD steps on a ReLU network with biases and squared loss.

    Inputs carry `input_fraction` fraction bits, activations and gradients `activation_fraction`,
    weights `weight_fraction`. One integer unit of A^T G is one unit of the weights (for the first
    layer, shifted to the same scale), so the learning rate is dyadic. With `momentum`,
    the weights are a filter of the updates and of the momentum before.
    """
    b = CircuitBuilder(steps=shape.steps, batch=shape.batch, rows=shape.rows)
    T, B, limit = shape.steps, shape.batch, (1 << shape.bits) - 1
    wide = 1 << (shape.bits + 3)
    activation = b.rows(
        b.committed("x", (shape.rows, shape.widths[0]), oracle="data", fraction_bits=shape.input_fraction)
    )
    b.range_check(activation, 0, 1 << shape.input_fraction, "data/x")
    labels = b.rows(b.committed("y", (shape.rows, shape.widths[-1]), oracle="data"))
    b.range_check(labels, 0, 1, "data/y")

    lift = 1 << (shape.weight_fraction - 16)
    layers = list(enumerate(zip(shape.widths[:-1], shape.widths[1:], strict=True)))
    state, activations, gates = [], [], []
    for layer, (inputs, outputs) in layers:
        kernel = b.deferred(f"kernel {layer}", (T, inputs, outputs))
        bias = b.deferred(f"bias {layer}", (T, outputs))
        state.append((kernel, bias))
        fraction = shape.input_fraction if layer == 0 else shape.activation_fraction
        product = b.contract(activation, kernel, "tni,tio->tno")
        spread = b.axes(bias, (0, -1, 1), (T, B, outputs))
        accumulator = b.combine((1, product), (1 << fraction, spread))
        shift = fraction + shape.weight_fraction - shape.activation_fraction
        quotient = b.rescale(accumulator, shift, f"layer{layer}/pre_activation")
        activations.append(activation)
        if layer < len(layers) - 1:
            activation, gate = b.relu(quotient, lo=-wide, hi=wide - 1, limit=limit, name=f"layer{layer}")
            gates.append(gate)
        else:
            b.range_check(quotient, -wide, wide - 1, f"layer{layer}/logits")
    gradient = b.combine((1, quotient), (-(1 << shape.activation_fraction), labels))
    for layer, (inputs, outputs) in reversed(layers):
        kernel, bias = state[layer]
        rate = 1 << (shape.activation_fraction - shape.input_fraction if layer == 0 else 0)
        update = b.contract(activations[layer], gradient, "tni,tno->tio")
        bias_update = b.axes(gradient, (0, 2), (T, outputs))
        bias_rate = 1 << shape.activation_fraction
        for name, leaf, change, step, size in (
            ("kernel", kernel, update, rate, (inputs, outputs)),
            ("bias", bias, bias_update, bias_rate, (outputs,)),
        ):
            first = b.state_before(f"layer{layer}/{name}", size, fraction_bits=16, bits=17)
            axes = tuple(range(len(size)))
            constant = b.axes(first, (-1, *axes), (T, *size))
            if shape.momentum:
                _with_momentum(b, f"layer{layer}/{name}", first, leaf, change, step, lift, shape)
                continue
            b.bind(leaf, b.combine((lift, constant), (-step, b.before(change))))
            total = b.axes(change, tuple(axis + 1 for axis in axes), size)
            last = b.combine((lift, first), (-step, total))
            b.state_after(f"layer{layer}/{name}", last, shape.weight_fraction - 16, fraction_bits=16, bits=17)
        if layer:
            back = b.contract(gradient, kernel, "tno,tio->tni")
            scaled = b.rescale(back, shape.weight_fraction, f"layer{layer - 1}/gradient")
            gradient = b.gated(scaled, gates[layer - 1], lo=-wide, hi=wide - 1, limit=limit, name=f"layer{layer - 1}")
    return b.finish()


def _with_momentum(
    b: CircuitBuilder, name: str, first: int, leaf: int, change: int, step: int, lift: int, shape: DenseShape
) -> None:
    """Weights and momentum of one leaf, as filters of the updates and of what both were before."""
    T, size = shape.steps, b.shape(first)
    axes, moved = tuple(range(len(size))), tuple(range(1, len(size) + 1))
    shift = shape.weight_fraction - 16
    trace = b.state_before(f"{name}/trace", size, fraction_bits=16, bits=TRACE_BITS)
    shares = [share << (shift - 3) for share in WEIGHT_SHARE]
    rows = [list(WEIGHT_TAPS[:t][::-1]) for t in range(T + 1)]
    share = b.filter(b.axes(trace, (-1, *axes), (1, *size)), matrix([value] for value in shares[:T]))
    spread = b.axes(first, (-1, *axes), (T, *size))
    b.bind(leaf, b.combine((lift, spread), (-1, share), (-step, b.filter(change, matrix(rows[:T])))))
    total = b.axes(b.filter(change, matrix(rows[T:])), moved, size)
    b.state_after(name, b.combine((lift, first), (-shares[T], trace), (-step, total)), shift, fraction_bits=16, bits=17)
    kept = b.axes(b.filter(change, matrix([list(TRACE_TAPS[:T][::-1])])), moved, size)
    after = b.combine((TRACE_SHARE[T] << (shift - 3), trace), (step, kept))
    b.state_after(f"{name}/trace", after, shift, fraction_bits=16, bits=TRACE_BITS)
