"""One rule per primitive of the jaxpr: how it reads as sums, products, axis maps and relu."""

from zkjax.frontend.rules import agreement, arithmetic, contraction, functions, indexing, selection, structural
from zkjax.frontend.rules.rule import Rule

RULES: dict[str, Rule] = {
    **arithmetic.RULES,
    **contraction.RULES,
    **structural.RULES,
    **selection.RULES,
    **functions.RULES,
    **indexing.RULES,
    **agreement.RULES,
}
