"""How likely a false statement is to be accepted: the sum of the errors of all arguments.

Every challenge is uniform in K, so most terms are degrees of polynomials over |K| = p^2 (Schwartz
and Zippel): a false claim is a nonzero polynomial in the challenge, and the prover wins when the
challenge is a root. The sum bounds the interactive error; a prover of the non-interactive proof who
computes q hashes wins with at most q times the largest error of a round, hence q times the sum.
Proof of work counts where the nonce is absorbed immediately before the challenges it protects.
docs/soundness.md has the reductions. Only proven bounds are used: unique decoding, no conjectures.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

from zkjax.fields.mersenne61 import P
from zkjax.statement.layout import tensor_bits
from zkjax.statement.parameters import COMBINATION_GRINDING_BITS, LOOKUP_GRINDING_BITS, OPENING_GRINDING_BITS
from zkjax.statement.plan import Plan

LOG_FIELD = 2 * log2(P)


@dataclass(frozen=True)
class Term:
    """One summand: an upper bound on log2 of the error of `name`, and where the bound comes from."""

    name: str
    log2_error: float
    source: str


def soundness_bits(plan: Plan) -> float:
    """-log2 of the sum of all error terms."""
    return -log2(sum(2.0**term.log2_error for term in error_terms(plan)))


def error_terms(plan: Plan) -> list[Term]:
    """The errors of all arguments of a proof, in their order."""
    code, layout, circuit = plan.code, plan.layout, plan.circuit
    zero_points = sum(tensor_bits(circuit.nodes[index].shape) for index in circuit.zeros)
    output_points = sum(tensor_bits(circuit.output_shape(output)) for output in circuit.outputs)
    zeros = 2 * plan.products + 2
    return [
        _ratio(
            "lookup fingerprints",
            _fingerprint_degree(plan),
            "leaves - 1 for alpha, 2 * table rows for beta, less proof of work; Haboeck 2022/1530, lemma 5",
            LOOKUP_GRINDING_BITS,
        ),
        _ratio(
            "lookup layers",
            _layer_degrees(plan),
            "per layer 2 classes - 1 for batching, 2 per round, 1 for joining halves; Thaler 2013",
        ),
        _ratio("lookup claims", 2 * len(plan.classes) - 1, "powers of one challenge over numerators and denominators"),
        _ratio("vanishing tensors", zero_points + len(circuit.zeros), "one variable each, and powers of one challenge"),
        _ratio(
            "published tensors", output_points + len(circuit.outputs), "one variable each, and powers of one challenge"
        ),
        _ratio(
            "contractions",
            sum(2 * phase.variables + 2 * phase.instances for phase in plan.phases),
            "degree 2 per round, powers of one challenge over the factors",
        ),
        _ratio("products of hidden values", _quadratics(plan) + 1, "powers of eta, and degree 2 in tau"),
        _ratio("opening: batching", zeros + 1, "powers of gamma over the zeros and the equation on the masks"),
        _ratio("opening: split", 1, "linear in delta"),
        _ratio("opening: sumcheck", 2 * layout.variables, "degree 2 per round"),
        _ratio("opening: combination", 1, "linear in zeta"),
        _ratio(
            "opening: proximity",
            (code.length + 1) * (layout.row_variables + 2),
            "one affine line per row variable, one for rows and one for pads, within unique decoding; "
            "Ben-Sasson, Carmon, Ishai, Kopparty, Saraf 2020/654, theorem 4.1; Diamond, Gruen 2024/1351; "
            "less proof of work",
            COMBINATION_GRINDING_BITS,
        ),
        Term(
            "opening: columns",
            -code.queries * code.bits_per_query(code.queries) - OPENING_GRINDING_BITS,
            "(1 - delta)^queries at the unique-decoding radius, less proof of work",
        ),
    ]


def _ratio(name: str, degree: int, source: str, work: int = 0) -> Term:
    return Term(name, (log2(degree) if degree else float("-inf")) - LOG_FIELD - work, source)


def _fingerprint_degree(plan: Plan) -> int:
    """Suppose a tuple is no row of its table.

    Unless beta is one of 2 roots per table row, its fingerprint differs from all of theirs (tags are
    distinct, the tuple has degree 2 in beta). Then the sum of all fractions has a pole in alpha
    whose residue is a count of lookups, below p, so it is a nonzero rational function whose
    numerator has at most (leaves - 1) roots; alpha at a pole has no inverse of the denominator.
    """
    leaves = sum(cls.columns << cls.row_bits for cls in plan.classes)
    rows = sum(1 << table.bits for table in plan.circuit.tables)
    return leaves - 1 + 2 * rows


def _layer_degrees(plan: Plan) -> int:
    total = 0
    for layer in range(max(cls.depth for cls in plan.classes)):
        classes = sum(cls.depth > layer for cls in plan.classes)
        total += 2 * classes - 1 + 2 * layer + 1
    return total


def _quadratics(plan: Plan) -> int:
    layers = max(cls.depth for cls in plan.classes)
    joins = 2 * (len(plan.classes) - 1) + 1
    return layers + joins + len(plan.phases)
