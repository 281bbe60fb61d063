"""Names of the committed tensors of a block, for people: 'layer/role'."""

from __future__ import annotations

from dataclasses import dataclass, field

from zkjax.fixedpoint.analysis import Roles, origin
from zkjax.fixedpoint.nodes import (
    Axes,
    DataLeaf,
    First,
    Function,
    Gated,
    Linear,
    Maximum,
    OneHot,
    Paced,
    Positive,
    Product,
    Reciprocal,
    Relu,
    StateLeaf,
)
from zkjax.fixedpoint.step import Step


@dataclass
class Names:
    """Names for the nodes of a step, each given once."""

    step: Step
    roles: Roles
    _taken: set[str] = field(default_factory=set)

    def of(self, index: int) -> str:
        """'layer/role', unique."""
        if index in self.roles.gating:
            return self.unique(f"{self.layer(index)}/pre_activation")
        for node in self.step.nodes:
            if isinstance(node, Gated) and origin(self.step, node.node) == index:
                return self.unique(f"{self.layer(node.gate)}/gradient")
        if index in self.roles.logits:
            return self.unique(f"{self.layer(index)}/logits")
        role = "loss_gradient" if index in self.roles.losses else "value"
        return self.unique(f"{self.layer(index)}/{role}")

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
