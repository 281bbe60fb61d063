"""Names of the committed tensors of a block, for people: 'layer/role'."""

from __future__ import annotations

from dataclasses import dataclass, field

from zkjax.fixedpoint.analysis import Roles, is_scaled, origin
from zkjax.fixedpoint.nodes import (
    Axes,
    DataLeaf,
    First,
    Function,
    Gated,
    Linear,
    Maximum,
    Moment,
    OneHot,
    Paced,
    Positive,
    Product,
    Ratio,
    Reciprocal,
    Relu,
    Root,
    StateLeaf,
    operands,
)
from zkjax.fixedpoint.step import Step


@dataclass
class Names:
    """Names for the nodes of a step, each given once."""

    step: Step
    roles: Roles
    _taken: set[str] = field(default_factory=set)
    _moved: dict[int, str] | None = None

    def of(self, index: int) -> str:
        """'layer/role', unique."""
        if index in self.roles.gating:
            return self.unique(f"{self.layer(index)}/pre_activation")
        for node in self.step.nodes:
            if isinstance(node, Gated) and origin(self.step, node.node) == index:
                return self.unique(f"{self.layer(node.gate)}/gradient")
        if index in self.roles.logits:
            return self.unique(f"{self.layer(index)}/logits")
        if index in self.roles.moving:
            role = "clipped" if is_scaled(self.step, index) else "gradient"
            return self.unique(f"{self.leaf(index)}/{role}")
        role = "loss_gradient" if index in self.roles.losses else "value"
        return self.unique(f"{self.layer(index)}/{role}")

    def leaf(self, index: int) -> str:
        """The path of the weights that the node moves, where it belongs to the optimiser; else the layer."""
        if self._moved is None:
            self._moved = _moved_leaves(self.step)
        return self._moved.get(index) or self.layer(index)

    def layer(self, index: int) -> str:
        """The path of the weights that are multiplied or added last in what makes the node."""
        stack, seen = [index], {index}
        while stack:
            node = self.step.nodes[stack.pop(0)]
            inner: list[int] = []
            match node:
                case StateLeaf(name=name):
                    path = name.split("/")
                    return "/".join(path[1:-1]) or path[-1]
                case Product(left=left, right=right):
                    inner = sorted((left, right), key=lambda i: i not in self.roles.weights)
                    inner = [i for i in inner if i in self.roles.weights] or inner
                case Linear(terms=terms):
                    inner = [i for _, i in terms]
                case (
                    Axes(node=i)
                    | Relu(node=i)
                    | Paced(node=i)
                    | Function(node=i)
                    | Reciprocal(node=i)
                    | Maximum(node=i)
                    | First(node=i)
                    | Positive(node=i)
                    | Root(node=i)
                    | Moment(node=i)
                ):
                    inner = [i]
                case DataLeaf(name=name) if len(seen) <= 2:
                    return name
                case OneHot(node=i):
                    inner = [i]
                case Gated(gate=gate):
                    inner = [gate]
            stack += [i for i in inner if i not in seen]
            seen |= set(inner)
        return "data"

    def unique(self, name: str, suffix: str = "") -> str:
        """`name`, numbered if a tensor of this name and suffix exists."""
        candidate, count = name, 1
        while candidate + suffix in self._taken:
            count += 1
            candidate = f"{name}#{count}"
        self._taken.add(candidate + suffix)
        return candidate


def _moved_leaves(step: Step) -> dict[int, str]:
    """For each node between a gradient and the leaf that it moves, the path of the leaf within its tree."""
    read = {operand for node in step.nodes for operand in operands(node)}
    found: dict[int, str] = {}
    for name, change in step.changes.items():
        if step.state[name] not in read:
            continue
        stack = [change.node]
        while stack:
            index = stack.pop()
            node = step.nodes[index]
            found.setdefault(index, name.partition("/")[2] or name)
            square = isinstance(node, Product) and node.left == node.right
            if is_scaled(step, index):
                stack += [factor for factor in operands(node) if step.nodes[factor].shape]
            elif square or isinstance(node, Ratio | Root | Moment | Linear | Paced):
                stack += operands(node)
    return found
