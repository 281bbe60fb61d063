"""The prover's half of the final opening; `verifier.opening` is the other one, `statement.opening`
the mathematics both share.

All claims are linear in the committed symbols: two tables of weights over the address space, one
for the real lane and one for the imaginary lane. The sumcheck folds the symbols by their row
variables first; what is then left is the combination of the rows that the verifier asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import jax
import numpy as np

from zkjax.compute import host
from zkjax.compute.backend import DEFAULT, Backend, Product
from zkjax.compute.blocked import LOG_PIECE
from zkjax.compute.cores import on_all_cores
from zkjax.compute.pieced import Pieced
from zkjax.compute.split_weights import add_outer, split_sums, split_weights
from zkjax.errors import WitnessError
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, equality_weights, ext_add, ext_mul, ext_scale, ext_sum, inner, outer
from zkjax.prover.commit import AdviceOracle, Oracle
from zkjax.statement.claims import ClaimSet, Term
from zkjax.statement.layout import IMAGINARY, Layout, axis_bits
from zkjax.statement.opening import batch, committed_terms, mask_weights, pad_form, weight_at
from zkjax.statement.parameters import COMBINATION_GRINDING_BITS, OPENING_GRINDING_BITS
from zkjax.statement.plan import Plan
from zkjax.statement.relations import Relations, product_sumcheck_claim
from zkjax.transcript.channel import ProverChannel
from zkjax.transcript.hidden import Hidden


class FalseClaimError(WitnessError):
    """The witness does not satisfy the claims: `check=True` found what the verifier would reject."""


def prove_opening(
    channel: ProverChannel,
    plan: Plan,
    oracles: Sequence[Oracle],
    claims: ClaimSet,
    owed: Relations,
    backend: Backend = DEFAULT,
    *,
    check: bool = False,
) -> None:
    """Send what `verifier.opening.verify_opening` reads; `oracles` in the order of the layout's.

    The channel holds the pads of the advice oracle. With `check`, for debugging, every identity the
    verifier relies on is tested on the way; raises FalseClaimError. Without it, false claims lead to
    a proof that is rejected.

    Hiding: the caller has reserved an opening of every reused oracle before the proof leaves.
    """
    advice = oracles[-1]
    assert isinstance(advice, AdviceOracle)
    channel.begin("opening")
    balance, mask_weight = batch(channel.challenge("opening batching"), claims, owed)
    terms = committed_terms(plan.layout, claims)
    with jax.enable_x64(True):
        lanes = lane_weights(plan.layout, terms, mask_weight)
        symbols = address_space(plan.layout, oracles)
        direct, conjugate_sum = split_sums(*lanes, symbols)
        if check:
            _require(_plain(balance, channel) == direct + conjugate_sum.conjugate(), "the batched claim")
        channel.send_public("opening split", [conjugate_sum])
        split = channel.challenge("opening split")
        weights = split_weights(*lanes, split)
        del lanes
        claim = balance - conjugate_sum.conjugate() + split * conjugate_sum
        reduced = _sumcheck(channel, plan, backend, weights, symbols, direct + split * conjugate_sum, claim)
        del weights, symbols
    if check:
        weight = weight_at(plan.layout, terms, mask_weight, split, reduced.point)
        _require(weight == reduced.weight, "the folded weights")
        _require(_plain(reduced.claim, channel) == reduced.weight * reduced.symbol, "the last claim of the sumcheck")
    _send_combinations(channel, plan, oracles, advice, reduced)
    channel.work("opening", OPENING_GRINDING_BITS)
    positions = channel.transcript.indices("opening columns", plan.code.queries, plan.code.log_length)
    channel.begin("columns")
    for oracle in oracles:
        channel.append(oracle.open_columns(positions))


@dataclass(frozen=True)
class _Reduced:
    """weight * symbol = claim, where symbol = H(point); `combined_rows` is H at the row variables."""

    point: list[K]
    claim: Hidden
    weight: K
    symbol: K
    combined_rows: Ext


def _sumcheck(
    channel: ProverChannel, plan: Plan, backend: Backend, weights: Pieced, symbols: Pieced, value: K, claim: Hidden
) -> _Reduced:
    """sum of weights * symbols = value: the row variables, then the column variables."""
    rounds = _Rounds(channel, value, claim)
    product = backend.product(weights, symbols, plan.code.message)
    rounds.run(product, plan.layout.row_variables, COMBINATION_GRINDING_BITS)
    column_weights, combined_rows = product.tables()
    product = backend.product(column_weights, combined_rows)
    rounds.run(product, plan.layout.log_message, 0)
    ((weight,), (symbol,)) = product.values()
    return _Reduced(rounds.point, rounds.claim, weight, symbol, combined_rows)


class _Rounds:
    """The encrypted rounds of a product sumcheck: its claim in plain and as a form in the pads."""

    def __init__(self, channel: ProverChannel, value: K, claim: Hidden):
        self.channel, self.value, self.claim = channel, value, claim
        self.point: list[K] = []

    def run(self, product: Product, variables: int, work: int) -> None:
        for _ in range(variables):
            constant, square = product.sums()
            linear = self.value - 2 * constant - square
            coefficients = self.channel.send_hidden("opening round", [linear, square])
            if work:
                self.channel.work("opening round", work)
            challenge = self.channel.challenge("opening round")
            self.claim = product_sumcheck_claim(self.claim, coefficients, challenge)
            self.value = constant + linear * challenge + square * (challenge * challenge)
            product.fold(challenge)
            self.point.append(challenge)


def _send_combinations(
    channel: ProverChannel, plan: Plan, oracles: Sequence[Oracle], advice: AdviceOracle, reduced: _Reduced
) -> None:
    """The masked value, then the masked combinations of rows and of pads."""
    code, layout = plan.code, plan.layout
    rows, columns = reduced.point[: layout.row_variables], reduced.point[layout.row_variables :]
    pad_weights, _ = pad_form(reduced.claim, plan.pads)
    masked_value = reduced.weight * inner(equality_weights(columns), advice.mask_row[: code.message])
    masked_value += inner(pad_weights, advice.pad_mask[: plan.pads])
    channel.send_public("opening mask", [masked_value])
    channel.work("opening combination", COMBINATION_GRINDING_BITS)
    zeta = channel.challenge("opening combination")
    row_weights = equality_weights(rows)
    combined_masks = Ext(*np.zeros((2, code.mask_symbols), dtype=np.uint64))
    for oracle in oracles:
        first = oracle.layout.first_row
        combined_masks = ext_add(
            combined_masks, _combined(row_weights[first : first + oracle.layout.rows], oracle.masks)
        )
    combined = Ext(*(np.concatenate(planes) for planes in zip(reduced.combined_rows, combined_masks, strict=True)))
    channel.send_bytes("row combination", ext_add(advice.mask_row, ext_scale(combined, zeta)).to_bytes())
    channel.send_bytes("pad combination", ext_add(advice.pad_mask, ext_scale(advice.pad_row, zeta)).to_bytes())


def _combined(weights: Ext, rows: Ext) -> Ext:
    """sum of weights_i * rows_i, a few rows at a time."""

    def combined(start: int) -> Ext:
        part = slice(start, start + 8)
        return ext_sum(ext_mul(weights[part][:, None], rows[part]), axis=0)

    parts = on_all_cores(combined, range(0, rows.shape[0], 8))
    return reduce(ext_add, parts, Ext(*np.zeros((2, rows.shape[1]), dtype=np.uint64)))


def address_space(layout: Layout, oracles: Sequence[Oracle], log_piece: int = LOG_PIECE) -> Pieced:
    """The committed symbols H at their addresses, [2**variables]; views of the messages where possible."""
    space = _blank(layout, log_piece)
    for oracle in oracles:
        start = oracle.layout.first_row << layout.log_message
        planes = [plane.reshape(-1) for plane in oracle.message]
        _place(space, start, Ext(*planes), log_piece)
    return space


def lane_weights(
    layout: Layout, terms: dict[int, list[Term]], mask_weight: K, log_piece: int = LOG_PIECE
) -> tuple[Pieced, Pieced]:
    """Weights of all claims on the real and on the imaginary lane, [2**variables] each."""
    lanes = _blank(layout, log_piece), _blank(layout, log_piece)
    products = _Products()
    claimed = [
        (block, (oracle.first_row << layout.log_message) + block.offset)
        for oracle in layout.oracles
        for block in oracle.blocks
        if block.node in terms
    ]
    weights = on_all_cores(
        lambda each: list(_block_weights(each[0].shape, terms[each[0].node], products, log_piece)), claimed
    )
    # Blocks may share a piece: they are put in place one after the other.
    for (block, start), parts in zip(claimed, weights, strict=True):
        for part in parts:
            _place(lanes[block.lane], start, part, log_piece)
            start += part.size
    for oracle in layout.oracles:
        if oracle.masks >= 0:
            first = oracle.first_row << layout.log_message
            _place(lanes[IMAGINARY], first + oracle.masks, Ext.from_list(mask_weights(mask_weight)), log_piece)
    return lanes


def _blank(layout: Layout, log_piece: int) -> Pieced:
    return Pieced(1 << layout.variables, [None] * (1 << max(layout.variables - log_piece, 0)))


def _place(space: Pieced, start: int, values: Ext, log_piece: int) -> None:
    """Put values at an address where there are none yet: within a piece, or from the start of one on."""
    length = 1 << log_piece
    for at in range(start, start + values.size, length):
        number, offset = at >> log_piece, at & (length - 1)
        part = values[at - start : at - start + length - offset] if values.size != length else values
        if part.size == length:
            space.pieces[number] = Ext(*map(host.aligned_or_device, part))
            continue
        own = space.pieces[number] or host.zeros(length)
        for plane, new in zip(own, part, strict=True):
            plane[offset : offset + part.size] = new
        space.pieces[number] = own


class _Products:
    """Outer products of axis vectors, each padded to a power of two, as one axis; each is made once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], tuple[Sequence[Ext], Ext]] = {}

    def __call__(self, vectors: Sequence[Ext]) -> Ext:
        key = tuple(id(vector) for vector in vectors)
        if key not in self._known:
            self._known[key] = (vectors, self._made(vectors))
        return self._known[key][1]

    def _made(self, vectors: Sequence[Ext]) -> Ext:
        product: Ext | None = None
        for vector in vectors:
            padding = (0, (1 << axis_bits(vector.size)) - vector.size)
            padded = Ext(*(np.pad(np.asarray(plane), padding) for plane in vector))
            product = padded if product is None else outer(product, padded).reshape(-1)
        return Ext(*map(host.aligned, product or Ext.from_list([K.ONE])))


def _block_weights(shape: tuple[int, ...], terms: Sequence[Term], products: _Products, log_piece: int) -> Iterator[Ext]:
    """Sum over terms of coefficient * outer product of the axis vectors, padded with zeros, at most a piece at a time.

    As many of the last axes as fit into a piece make up the right factor; terms with equal vectors there
    are merged, so that there are as few summands as there are different right factors.
    """
    axis, bits = len(shape), 0
    while axis and bits + axis_bits(shape[axis - 1]) <= log_piece:
        axis -= 1
        bits += axis_bits(shape[axis])
    by_right: dict[tuple[int, ...], tuple[Ext, Ext]] = {}
    for term in terms:
        left = ext_scale(products(term.vectors[:axis]), term.coefficient)
        key = tuple(id(vector) for vector in term.vectors[axis:])
        if key in by_right:
            known, right = by_right[key]
            by_right[key] = (ext_add(known, left), right)
        else:
            by_right[key] = (left, products(term.vectors[axis:]))
    summands = list(by_right.values())
    size = summands[0][0].size
    depth = min(1 << (log_piece - bits), size)
    for start in range(0, size, depth):
        total: Ext | None = None
        for left, right in summands:
            total = add_outer(total, left[start : start + depth], right)
        assert total is not None
        yield total


def _plain(value: Hidden, channel: ProverChannel) -> K:
    constant, coefficients = value.linear_form()
    return sum((weight * channel.pads[pad] for pad, weight in coefficients.items()), constant)


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise FalseClaimError(f"opening: {what} does not hold")
