"""Functions of one value, however they are spelled, become one table each.

An activation and its derivative reach the compiler as a dozen operations each. Here every value is followed as

    product of other values  *  F(base),

F a formula of one variable, through sums, products, rectifiers, gates and functions. Where such a value is read by
anything else, F(base) becomes one `Function`, and what it was made of is dropped: `x * logistic(x)` is one table, and
all terms of its derivative, each times the incoming gradient, are the gradient times one more table. Values without a
function of their own (sums, rectifiers, products) stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce

from zkjax.fixedpoint.analysis import degrees
from zkjax.fixedpoint.nodes import (
    Axes,
    DataLeaf,
    First,
    Function,
    Gated,
    Linear,
    Maximum,
    OneHot,
    Positive,
    Product,
    Reciprocal,
    Relu,
    Shape,
    StateLeaf,
    Uniform,
    operands,
    renumbered,
)
from zkjax.fixedpoint.signs import is_spread
from zkjax.fixedpoint.step import Report, Step, StepGraph, odd_part, pruned
from zkjax.statement.formulas import FormulaError, parse

MAX_TEXT = 2000


@dataclass(frozen=True)
class Form:
    """`scale` times the product of `others` times the formula `text` of `base` (without one, 1).

    `others` and `base` are nodes of the new graph; `deep` says that the formula has a function in it.
    """

    others: tuple[int, ...]
    base: int | None
    text: str
    deep: bool = False
    scale: Fraction = Fraction(1)


def fused(step: Step) -> Step:
    """The same step, with one Function for every function of one value."""
    if not any(isinstance(node, Function) for node in step.nodes):
        return step
    fusion = _Fusion(step)
    state = {name: fusion.node(index) for name, index in step.state.items()}
    graph = fusion.graph
    moved = {name: graph.factored(fusion.node(change.node)) for name, change in step.changes.items()}
    reported = {name: (report, graph.factored(fusion.node(report.node))) for name, report in step.reports.items()}
    roots = [*state.values(), *(node for _, node in moved.values()), *(node for _, (_, node) in reported.values())]
    order, number = pruned(graph, roots)
    data = {node.name: place for place, index in enumerate(order) if isinstance(node := graph.nodes[index], DataLeaf)}
    made = replace(
        step,
        nodes=tuple(renumbered(graph.nodes[index], number) for index in order),
        lines=tuple(graph.lines[index] for index in order),
        state={name: number[index] for name, index in state.items()},
        data=data,
        changes={
            name: replace(change, factor=change.factor * moved[name][0], node=number[moved[name][1]])
            for name, change in step.changes.items()
        },
        reports={
            name: Report(report.factor * factor, number[node]) for name, (report, (factor, node)) in reported.items()
        },
    )
    return equalised(made)


def equalised(step: Step) -> Step:
    """The same step, with factors of the tables of derivatives chosen so that all leaves move by like factors.

    What a factor that is no power of two does to all changes alike is folded into the loss; a leaf that has one of its
    own takes fifteen bits more. SELU's 1.0507 in the derivative of each layer is one: here it goes into the table.
    """
    tables = [index for index, node in enumerate(step.nodes) if isinstance(node, Function)]
    reached: dict[int, set[str]] = {}
    reported: dict[int, dict[str, int | None]] = {}
    for index in tables:
        degree = degrees(step, index)
        reported[index] = {name: degree[report.node] for name, report in step.reports.items()}
        found = {name: degree[change.node] for name, change in step.changes.items()}
        if set(found.values()) == {0, 1} and None not in reported[index].values():
            reached[index] = {name for name, times in found.items() if times == 1}
    for index, names in reached.items():
        further = [others for other, others in reached.items() if other != index and others < names]
        nearest = {odd_part(step.changes[name].factor) for name in names.difference(*further)}
        before = {odd_part(step.changes[name].factor) for name in step.changes.keys() - names}
        if len(nearest) != 1 or len(before) != 1 or nearest == before:
            continue
        node, factor = step.nodes[index], odd_part(nearest.pop() / before.pop())
        assert isinstance(node, Function)
        nodes = list(step.nodes)
        nodes[index] = replace(node, formula=_joined(literal(factor), node.formula))
        changes = {
            name: replace(change, factor=change.factor / factor) if name in names else change
            for name, change in step.changes.items()
        }
        reports = {
            name: replace(report, factor=report.factor / factor ** (reported[index][name] or 0))
            for name, report in step.reports.items()
        }
        step = replace(step, nodes=tuple(nodes), changes=changes, reports=reports)
    return step


class _Fusion:
    """New nodes for old ones, made when they are read."""

    def __init__(self, step: Step):
        self.step, self.graph = step, StepGraph()
        self.made: dict[int, int] = {}
        self.forms: dict[int, Form] = {}
        self.taken_in = _factors(step)
        for index in range(len(step.nodes)):  # operands first, so that recursion stays shallow
            self.form(index)

    def node(self, index: int) -> int:
        """The new node of an old one."""
        if index not in self.made:
            form = self.form(index)
            self.graph.current_line = self.step.lines[index]
            self.made[index] = self._product(form, index) if form.deep else self._plain(index)
        return self.made[index]

    def _product(self, form: Form, index: int) -> int:
        """The table times the others. A factor of the table alone that is no power of two goes into it."""
        shape = self.step.nodes[index].shape
        odd = Fraction(1) if form.others else odd_part(form.scale) * self.taken_in.get(index, 1)
        form = replace(form, text=_joined(literal(odd), form.text), scale=form.scale / odd)
        assert form.base is not None
        result = self.graph.function(form.text, form.base)
        assert self.graph.shape(result) == shape
        for other in form.others:
            result = self.graph.multiplied(other, result)
        return self.graph.scaled(form.scale, result)

    def _plain(self, index: int) -> int:
        """The old node on new operands."""
        graph, found = self.graph, self.step.nodes[index]
        match found:
            case StateLeaf() | DataLeaf() | Uniform():
                return graph.add(found)
            case Linear(terms=terms):
                return graph.linear([(c, self.node(term)) for c, term in terms])
            case Axes(node=node, source=source, shape=shape):
                return graph.axes(self.node(node), source, shape)
            case Product():
                labels = (found.left_labels, found.right_labels, found.out_labels)
                return graph.product(self.node(found.left), self.node(found.right), labels)
            case Relu(node=node):
                return graph.relu(self.node(node))
            case Gated(gate=gate, node=node):
                return graph.gated(self.node(gate), self.node(node))
            case Function(node=node, formula=formula):
                return graph.function(formula, self.node(node))
            case Reciprocal(node=node):
                return graph.reciprocal(self.node(node))
            case Maximum(node=node):
                return graph.maximum(self.node(node))
            case First(node=node):
                return graph.first(self.node(node))
            case Positive(node=node):
                return graph.positive(self.node(node))
            case OneHot(node=node, shape=shape):
                return graph.one_hot(self.node(node), shape[-1])
            case _:
                return graph.add(renumbered(found, {operand: self.node(operand) for operand in operands(found)}))

    def form(self, index: int) -> Form:
        if index not in self.forms:
            found = self._form(index)
            self.forms[index] = found if found is not None and _is_short(found) else self._opaque(index)
        return self.forms[index]

    def _opaque(self, index: int) -> Form:
        """The value as it is, with what it reads made first."""
        if index not in self.made:
            self.graph.current_line = self.step.lines[index]
            self.made[index] = self._plain(index)
        scale, node = self.graph.factored(self.made[index])
        return Form((node,), None, "1", scale=scale)

    def _form(self, index: int) -> Form | None:
        found = self.step.nodes[index]
        match found:
            case Linear(terms=terms):
                return self._sum(terms)
            case Product() if found.left_labels == found.right_labels == found.out_labels:
                return self._times(self.form(found.left), self.form(found.right))
            case Product() if self._is_entrywise(found):
                source = [found.left_labels.index(label) for label in found.out_labels]
                left, right = (self._moved(self.form(node), source, found.shape) for node in (found.left, found.right))
                return self._times(left, right)
            case Axes(node=node, source=source, shape=shape) if self._keeps_entries(found):
                still = self.form(node)
                return None if still.base is None else self._moved(still, source, shape)
            case Relu(node=node):
                inner, sign = _univariate(self.form(node)), _sign(self.form(node))
                return inner and sign and replace(inner, text=f"({inner.text})*{sign.text}")
            case Gated(gate=gate, node=node):
                sign = _sign(self.form(gate))
                return sign and self._times(self.form(node), sign)
            case Function(node=node, formula=formula):
                inner = _univariate(self.form(node))
                if inner is None:
                    return Form((), self.node(node), formula, True)
                return Form((), inner.base, composed(formula, inner.text), True)
            case Reciprocal(node=node):
                divisor = self.form(node)
                if divisor.others or divisor.base is None:
                    return None
                return replace(divisor, text=f"1/({divisor.text})", scale=1 / divisor.scale)
        return None

    def _keeps_entries(self, axes: Axes) -> bool:
        """Whether only axes of one entry come and go, and others are exchanged."""
        own = self.step.nodes[axes.node].shape
        gone = [size for axis, size in enumerate(own) if axis not in axes.source]
        new = [size for size, axis in zip(axes.shape, axes.source, strict=True) if axis == -1]
        return all(size == 1 for size in gone + new)

    def _is_entrywise(self, product: Product) -> bool:
        """Whether only axes of one entry are summed, so that the product is one of entries."""
        sizes = dict(zip(product.left_labels, self.step.nodes[product.left].shape, strict=True))
        summed = set(product.left_labels) - set(product.out_labels)
        return product.left_labels == product.right_labels and all(sizes[label] == 1 for label in summed)

    def _moved(self, form: Form, source: Sequence[int], shape: Shape) -> Form:
        """The form with axes of one entry added or taken away, or axes exchanged."""
        others = tuple(sorted(self.graph.axes(node, source, shape) for node in form.others))
        base = None if form.base is None else self.graph.axes(form.base, source, shape)
        return replace(form, others=others, base=base)

    def _times(self, left: Form, right: Form) -> Form | None:
        if left.base is not None and right.base is not None and left.base != right.base:
            return None
        base = left.base if left.base is not None else right.base
        text = _joined(left.text, right.text)
        others = list(left.others + right.others)
        while base in others:
            others.remove(base)
            text = _joined(text, "x")
        return Form(tuple(sorted(others)), base, text, left.deep or right.deep, left.scale * right.scale)

    def _sum(self, terms: tuple[tuple[Fraction, int], ...]) -> Form | None:
        """One form, if all terms are functions of one value times the same others."""
        parts, constant = [], Fraction(0)
        for coefficient, term in terms:
            node = self.step.nodes[term]
            if isinstance(node, Uniform):
                constant += coefficient * node.value
            else:
                parts.append((coefficient, self.form(term)))
        bases = {form.base for _, form in parts} - {None}
        if len(bases) > 1 or not parts:
            return None
        if bases:
            (base,) = bases
            parts = [(c, self._absorbed(form, base)) for c, form in parts]
        elif constant or len({form.others for _, form in parts}) > 1:
            candidates = [(c, _univariate(form)) for c, form in parts]
            if any(form is None for _, form in candidates):
                return None
            parts = candidates  # type: ignore[assignment]
            base = parts[0][1].base
            if any(form.base != base for _, form in parts):
                return None
        else:
            base = None
        others = parts[0][1].others
        if any(form.others != others for _, form in parts) or (constant and others):
            return None
        outer = parts[0][0] * parts[0][1].scale
        text = " + ".join(_joined(literal(c * form.scale / outer), form.text) for c, form in parts)
        if constant:
            text = f"{text} + {literal(constant / outer)}"
        return Form(others, base, text, any(form.deep for _, form in parts), outer)

    def _absorbed(self, form: Form, base: int | None) -> Form:
        """`form` as one with the base `base`, where it is one of the others."""
        others, text = list(form.others), form.text
        while base in others:
            others.remove(base)
            text = _joined(text, "x")
        return replace(form, others=tuple(others), base=base, text=text)


def _factors(step: Step) -> dict[int, Fraction]:
    """For values with a factor outside that is no power of two, where products of them meet other terms: the factor.

    Taken into a table it costs nothing. Outside it is the inverse factor of the other terms: SELU's 1.0507 of a layer
    that the bias of the next one is added to, which would take fifteen bits more in everything.
    """
    found: dict[int, Fraction] = {}
    for index, node in enumerate(step.nodes):
        if index in step.reporting:
            continue
        products = [(c, term) for c, term in getattr(node, "terms", ()) if isinstance(step.nodes[term], Product)]
        if not isinstance(node, Linear) or len(products) != 1 or len(node.terms) < 2:
            continue
        ((outer, product),) = products
        others = {odd_part(c) for c, term in node.terms if term != product}
        if len(others) == 1:
            factor = odd_part(outer / others.pop())
            for operand in operands(step.nodes[product]):
                if factor != 1 and not _is_exponential(step, operand):
                    found.setdefault(operand, factor)
    return found


def _is_exponential(step: Step, index: int) -> bool:
    """Whether a node is one of the exponentials of a softmax: their sum has a logarithm, and wants them as they are."""
    node = step.nodes[index]
    if not isinstance(node, Function):
        return False
    argument = node.node
    inner = step.nodes[argument]
    if isinstance(inner, Linear) and len(inner.terms) == 1:  # c (x - max x)
        argument = inner.terms[0][1]
    return is_spread(step.nodes, argument)


def _univariate(form: Form) -> Form | None:
    """The form as a function of one value, if it is one."""
    if form.base is None and len(set(form.others)) == 1:
        text = reduce(_joined, ["x"] * len(form.others), form.text)
        form = Form((), form.others[0], text, form.deep, form.scale)
    if form.base is None or form.others:
        return None
    return replace(form, text=_joined(literal(form.scale), form.text), scale=Fraction(1))


def _sign(form: Form) -> Form | None:
    """1 where the form is positive, else 0: a factor does not matter, and would blur where zero is."""
    sign = _univariate(replace(form, scale=Fraction(1 if form.scale > 0 else -1)))
    return sign and replace(sign, text=f"positive({sign.text})", deep=False)


def composed(outer: str, inner: str) -> str:
    """outer(inner(x))."""
    return re.sub(r"\bx\b", inner if inner == "x" else f"({inner})", outer)


def has_root(formula: str) -> bool:
    """Whether a formula takes a root, and so may be large where its argument is small."""
    return "sqrt(" in formula


def _joined(left: str, right: str) -> str:
    """The product of two formulas, ones left out."""
    if "1" in (left, right):
        return right if left == "1" else left
    return "*".join(text if text == "x" or _is_number(text) else f"({text})" for text in (left, right))


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"\d+|\(-?\d+(/\d+)?\)", text))


def literal(value: Fraction) -> str:
    """A number as a formula spells it."""
    text = f"{abs(value.numerator)}" + (f"/{value.denominator}" if value.denominator != 1 else "")
    return f"(-{text})" if value < 0 else f"({text})" if "/" in text else text


def _is_short(form: Form) -> bool:
    try:
        parse(form.text)
    except FormulaError:
        return False
    return len(form.text) <= MAX_TEXT
