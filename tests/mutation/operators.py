"""Mutants of source code, each with one check removed or weakened: pure functions on syntax trees.

A *check* is a condition under which an error is raised, a requirement (`_require`, `legal = ...`,
`return` of a predicate), or a call made for what it does: it absorbs, owes, claims or checks. A
mutant of the mathematics forgets a step of an accumulation, such as the next power of a challenge, a
summand, a bound or a case.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

BOUNDARIES: dict[type, type] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
# Boolean variables and functions that a later requirement is about.
PREDICATES = ("legal", "kept", "present", "positive", "differ", "plain")


@dataclass(frozen=True)
class Mutant:
    """A module with one change. `name` says where and what: it does not depend on line numbers."""

    name: str
    line: int
    module: ast.Module
    changes: tuple[ast.AST, ast.AST] | None = None

    @property
    def lines(self) -> range:
        """Where the change is, in the source as it is written."""
        node = self.changes[0] if self.changes else self.module
        return range(self.line, getattr(node, "end_lineno", self.line) + 1)

    @property
    def tree(self) -> ast.Module:
        """The changed module, every node on the line where it was written."""
        return _replaced(self.module, *self.changes) if self.changes else self.module

    @property
    def source(self) -> str:
        """The changed module; what is not code, such as comments and line numbers, is lost."""
        return ast.unparse(self.tree)


def mutants(source: str) -> list[Mutant]:
    """All mutants of a module, in the order of its lines, their names made unique by numbers."""
    tree = ast.parse(source)
    found, seen = [], {}
    for where, node, what, replacement in _changes(tree):
        name = f"{where}: {what}"
        seen[name] = seen.get(name, 0) + 1
        number = f" #{seen[name]}" if seen[name] > 1 else ""
        found.append(Mutant(name + number, node.lineno, tree, (node, replacement)))
    return found


def _replaced(tree: ast.Module, node: ast.AST, replacement: ast.AST) -> ast.Module:
    new = copy.deepcopy(replacement)
    if not hasattr(new, "lineno"):
        ast.copy_location(new, node)

    class Replace(ast.NodeTransformer):
        def visit(self, visited: ast.AST) -> ast.AST:
            return new if visited is node else super().generic_visit(visited)

    # A transformer changes a tree in place: it works on a copy, in which the node is the original one.
    changed = Replace().visit(copy.deepcopy(tree, {id(node): node}))
    return ast.fix_missing_locations(changed)


def _changes(tree: ast.Module) -> Iterator[tuple[str, ast.AST, str, ast.AST]]:
    """(function, node, description, what stands there instead)."""
    for function in _functions(tree):
        where = function.name
        for node in _own(function):
            match node:
                case ast.If(test=test, body=[ast.Raise(), *_]):
                    yield where, test, f"never {ast.unparse(test)}", ast.Constant(False)
                    yield from _weaker(where, test, required=False)
                case ast.Expr(value=ast.Call(func=func, args=arguments)):
                    yield where, node, f"without {_short(node)}", ast.Pass()
                    if isinstance(func, ast.Name) and func.id == "_require":
                        yield from _weaker(where, arguments[0], required=True)
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in PREDICATES:
                    yield from _weaker(where, value, required=True)
                case ast.Return(value=ast.BoolOp() | ast.Compare() as value):
                    yield from _weaker(where, value, required=True)
                case ast.Assign(targets=[target], value=value) if _is_step(target, value):
                    yield where, node, f"without {_short(node)}", ast.Pass()
                case ast.AugAssign():
                    yield where, node, f"without {_short(node)}", ast.Pass()
                case ast.If(test=test):
                    yield from _weaker(where, test, required=True)
            yield from _simpler(where, node)


def _simpler(where: str, statement: ast.AST) -> Iterator[tuple[str, ast.AST, str, ast.AST]]:
    """Expressions in a statement of its own that forget a case, a bound or a summand."""
    parts = [child for child in ast.iter_child_nodes(statement) if not isinstance(child, ast.stmt | ast.match_case)]
    for node in (inner for part in parts for inner in ast.walk(part)):
        alternatives: list[ast.expr] = []
        match node:
            case ast.IfExp(body=body, orelse=otherwise):
                alternatives = [body, otherwise]
            case ast.Call(func=ast.Name(id="max" | "min"), args=[_, _, *_] as arguments):
                alternatives = [argument for argument in arguments if not isinstance(argument, ast.Starred)]
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
                alternatives = [left, right]
        for other in alternatives:
            yield where, node, f"{_short(other)} for {_short(node)}", other


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node


def _own(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The statements of a function, not those of functions inside."""
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop(0)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        yield node
        pending[:0] = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt | ast.match_case)]


def _weaker(where: str, test: ast.expr, *, required: bool) -> Iterator[tuple[str, ast.AST, str, ast.AST]]:
    """Conditions that refuse less: fewer conjuncts of what is required, fewer disjuncts of what is refused."""
    lost = ast.Constant(required)
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield from _weaker(where, operand, required=not required)
        case ast.BoolOp(op=op, values=values) if isinstance(op, ast.And) is required:
            for value in values:
                yield where, value, f"without {ast.unparse(value)}", lost
                yield from _weaker(where, value, required=required)
        case ast.BoolOp(values=values):
            for value in values:
                yield from _weaker(where, value, required=required)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            sides = [left, *comparators]
            for index, op in enumerate(ops):
                if len(ops) > 1:
                    rest = [ast.Compare(sides[i], [ops[i]], [sides[i + 1]]) for i in range(len(ops)) if i != index]
                    other = rest[0] if len(rest) == 1 else ast.BoolOp(ast.And(), rest)
                    side = ast.unparse(ast.Compare(sides[index], [op], [sides[index + 1]]))
                    yield where, test, f"without {side} of {ast.unparse(test)}", other
                if type(op) in BOUNDARIES:
                    changed = [*ops[:index], BOUNDARIES[type(op)](), *ops[index + 1 :]]
                    other = ast.Compare(left, changed, comparators)
                    yield where, test, f"{ast.unparse(other)}, not {ast.unparse(test)}", other
        case ast.Call(func=ast.Name(id="all" | "any"), args=[ast.GeneratorExp(elt=inner)]):
            yield from _weaker(where, inner, required=required)


def _is_step(target: ast.expr, value: ast.expr) -> bool:
    """Whether an assignment computes a variable from itself."""
    name = ast.unparse(target)
    return any(ast.unparse(part) == name for part in ast.walk(value) if isinstance(part, ast.Name | ast.Attribute))


def _short(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 100 else text[:97] + "..."
