"""Values that are sent encrypted: public linear forms in the committed pads.

The prover commits to a vector of uniform pads and sends m as the ciphertext c = m + pad. To both
sides m is then the linear form `c - pad[j]`, and whatever is computed linearly from such values is
again one. `Hidden` records the computation; `linear_form` expands it at the end, in one backward
pass, to `constant + sum of coefficients * pads`. No value is ever checked or revealed on the way.
"""

from __future__ import annotations

from itertools import count

from zkjax.fields.mersenne61 import K

_serial = count()


class Hidden:
    """A public linear form in the pads; immutable. Supports + - with Hidden, K, int and * / by K, int.

    Soundness: equal forms are equal values only if the pads are bound by a commitment that was
    absorbed before the first ciphertext.
    """

    __slots__ = ("constant", "pad", "serial", "terms")

    def __init__(self, constant: K, terms: tuple[tuple[K, Hidden], ...] = (), pad: int = -1):
        self.constant = constant
        self.terms = terms
        self.pad = pad
        self.serial = next(_serial)

    @classmethod
    def known(cls, value: K | int) -> Hidden:
        """A public value as a linear form."""
        return cls(K.ZERO + value)

    @classmethod
    def ciphertext(cls, cipher: K, pad: int) -> Hidden:
        """The value that `cipher` encrypts under pad number `pad`."""
        return cls(cipher, (), pad)

    @classmethod
    def of_pad(cls, pad: int) -> Hidden:
        """Pad number `pad` itself."""
        return -cls(K.ZERO, (), pad)

    def __add__(self, other: Hidden | K | int) -> Hidden:
        if isinstance(other, Hidden):
            return Hidden(K.ZERO, ((K.ONE, self), (K.ONE, other)))
        return Hidden(K.ZERO + other, ((K.ONE, self),))

    __radd__ = __add__

    def __neg__(self) -> Hidden:
        return self * -1

    def __sub__(self, other: Hidden | K | int) -> Hidden:
        if isinstance(other, Hidden):
            return Hidden(K.ZERO, ((K.ONE, self), (-K.ONE, other)))
        return self + (-other)

    def __rsub__(self, other: K | int) -> Hidden:
        return -self + other

    def __mul__(self, factor: K | int) -> Hidden:
        if not isinstance(factor, K | int):
            return NotImplemented
        return Hidden(K.ZERO, ((K.ZERO + factor, self),))

    __rmul__ = __mul__

    def linear_form(self) -> tuple[K, dict[int, K]]:
        """(constant, {pad: coefficient}): the value is constant + sum of coefficient * pad."""
        constant = K.ZERO
        coefficients: dict[int, K] = {}
        pending: dict[int, tuple[Hidden, K]] = {self.serial: (self, K.ONE)}
        nodes = _reachable(self)
        for node in nodes:
            _, weight = pending.pop(node.serial)
            # Most forms are sums: no product is made of a zero or a one.
            if node.constant:
                constant += weight * node.constant
            if node.pad >= 0:
                coefficients[node.pad] = coefficients.get(node.pad, K.ZERO) - weight
            for factor, child in node.terms:
                share = weight if factor is K.ONE else weight * factor
                known = pending.get(child.serial)
                pending[child.serial] = (child, share + known[1] if known else share)
        return constant, coefficients


def _reachable(root: Hidden) -> list[Hidden]:
    """Every form that `root` was computed from, later ones first."""
    seen = {root.serial: root}
    stack = [root]
    while stack:
        for _, child in stack.pop().terms:
            if child.serial not in seen:
                seen[child.serial] = child
                stack.append(child)
    return [seen[serial] for serial in sorted(seen, reverse=True)]
