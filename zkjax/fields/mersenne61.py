"""The field as Python integers: the definition every other implementation is tested against.

F = GF(p), p = 2^61 - 1; K = F[i]/(i^2 + 1), a field because p = 3 mod 4. Standard library only.
The order of K* is (p - 1) 2^61, and its elements of order 2^k, k <= 61, are the elements of norm
one and that order: for them the inverse is the conjugate.
"""

from __future__ import annotations

from operator import index
from typing import ClassVar

P = (1 << 61) - 1
ELEMENT_BYTES = 16
TWO_ADICITY = 61

# (1 + 4i)/(1 - 4i). It has order 2^61 because the norm 17 is no square mod p, and its power 2^58
# is 2^30 (1 + i), so that eighth roots of unity are shifts.
_GENERATOR = (1627653888856725141, 1898929536999512666)


def to_field(value: int) -> int:
    """The canonical representative, in [0, p), of any integer."""
    return index(value) % P


def to_signed(value: int) -> int:
    """The representative of least magnitude, in (-p/2, p/2), of any integer."""
    value = index(value) % P
    return value - P if value > P // 2 else value


def inverse(value: int) -> int:
    """The inverse of `value` mod p, canonical. Raises ZeroDivisionError for zero mod p."""
    value = index(value) % P
    if value == 0:
        raise ZeroDivisionError("zero has no inverse in F")
    return pow(value, -1, P)


class K:
    """An element re + im i of K; immutable, hashable, both parts canonical in [0, p).

    `K(re, im=0)` reduces any integers. Integers mix with elements in `+ - * / ==` and stand for
    their residues mod p. Equal elements have equal hashes; an integer that compares equal to an
    element need not, so keep the two apart in one dictionary.

    Raises TypeError for parts that are not integers, ZeroDivisionError on division by zero.
    """

    __slots__ = ("im", "re")

    re: int
    im: int

    ZERO: ClassVar[K]
    ONE: ClassVar[K]
    I: ClassVar[K]

    # NumPy scalars and arrays must not swallow elements into object arrays.
    __array_ufunc__ = None

    def __init__(self, re: int, im: int = 0) -> None:
        _set_re(self, index(re) % P)
        _set_im(self, index(im) % P)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"elements of K are immutable: cannot set {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"elements of K are immutable: cannot delete {name!r}")

    def __reduce__(self) -> tuple[type[K], tuple[int, int]]:
        return K, (self.re, self.im)

    def __repr__(self) -> str:
        return f"K({self.re}, {self.im})" if self.im else f"K({self.re})"

    def __hash__(self) -> int:
        return hash((self.re, self.im))

    def __bool__(self) -> bool:
        return bool(self.re or self.im)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, K):
            return self.re == other.re and self.im == other.im
        if isinstance(other, int):
            return self.im == 0 and self.re == other % P
        return NotImplemented

    def __neg__(self) -> K:
        return K(-self.re, -self.im)

    def __pos__(self) -> K:
        return self

    def __add__(self, other: K | int) -> K:
        if isinstance(other, K):
            return K(self.re + other.re, self.im + other.im)
        if isinstance(other, int):
            return K(self.re + other, self.im)
        return NotImplemented

    __radd__ = __add__

    def __sub__(self, other: K | int) -> K:
        if isinstance(other, K):
            return K(self.re - other.re, self.im - other.im)
        if isinstance(other, int):
            return K(self.re - other, self.im)
        return NotImplemented

    def __rsub__(self, other: int) -> K:
        if isinstance(other, int):
            return K(other - self.re, -self.im)
        return NotImplemented

    def __mul__(self, other: K | int) -> K:
        if isinstance(other, K):
            a, b, c, d = self.re, self.im, other.re, other.im
            return K(a * c - b * d, a * d + b * c)
        if isinstance(other, int):
            return K(self.re * other, self.im * other)
        return NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, other: K | int) -> K:
        if isinstance(other, K):
            return self * other.inverse()
        if isinstance(other, int):
            return self * inverse(other)
        return NotImplemented

    def __rtruediv__(self, other: int) -> K:
        if isinstance(other, int):
            return self.inverse() * other
        return NotImplemented

    def __pow__(self, exponent: int) -> K:
        """Any integer exponent; a negative one inverts first. `K.ZERO ** 0` is one."""
        if not isinstance(exponent, int):
            return NotImplemented
        base = self if exponent >= 0 else self.inverse()
        exponent = abs(exponent)
        a, b = base.re, base.im
        re, im = 1, 0
        while exponent:
            if exponent & 1:
                re, im = (re * a - im * b) % P, (re * b + im * a) % P
            a, b = (a + b) * (a - b) % P, 2 * a * b % P
            exponent >>= 1
        return K(re, im)

    def conjugate(self) -> K:
        """re - im i; also the p-th power."""
        return K(self.re, -self.im)

    def norm(self) -> int:
        """re^2 + im^2 mod p, zero for the zero element alone."""
        return (self.re * self.re + self.im * self.im) % P

    def inverse(self) -> K:
        """The inverse. Raises ZeroDivisionError for zero."""
        scale = inverse(self.norm())
        return K(self.re * scale, -self.im * scale)

    def to_bytes(self) -> bytes:
        """16 bytes: the two parts as little-endian 64-bit integers."""
        return (self.re | self.im << 64).to_bytes(ELEMENT_BYTES, "little")

    @classmethod
    def from_bytes(cls, encoded: bytes) -> K:
        """Decode `to_bytes`. Raises ValueError on a wrong length or a part that is not below p."""
        if len(encoded) != ELEMENT_BYTES:
            raise ValueError(f"an element of K has {ELEMENT_BYTES} bytes, got {len(encoded)}")
        re = int.from_bytes(encoded[:8], "little")
        im = int.from_bytes(encoded[8:], "little")
        if re >= P or im >= P:
            raise ValueError(f"non-canonical element of K: parts {re} and {im} must be below {P}")
        return cls(re, im)


_set_re = K.__dict__["re"].__set__
_set_im = K.__dict__["im"].__set__
K.ZERO = K(0)
K.ONE = K(1)
K.I = K(0, 1)


def root_of_unity(log_order: int) -> K:
    """A primitive 2^log_order-th root of unity, of norm one.

    One tower: `root_of_unity(k) ** 2 == root_of_unity(k - 1)`, with `root_of_unity(3)` equal to
    2^30 (1 + i) and `root_of_unity(2)` to i. Raises ValueError unless 0 <= log_order <= 61.
    """
    if not 0 <= log_order <= TWO_ADICITY:
        raise ValueError(f"log_order must lie in [0, {TWO_ADICITY}], got {log_order}")
    return K(*_GENERATOR) ** (1 << (TWO_ADICITY - log_order))


def bit_reverse(value: int, bits: int) -> int:
    """`value` with its `bits` low bits in reverse order. Raises ValueError if it has more."""
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{value} does not fit in {bits} bits")
    return int(f"{value:0{bits}b}"[::-1], 2) if bits else 0


def evaluation_point(position: int, log_n: int) -> K:
    """The point whose evaluation `transform` puts at `position`.

    That is `root_of_unity(log_n) ** bit_reverse(position, log_n)`, never zero. Raises ValueError
    unless 0 <= position < 2^log_n and log_n <= 61.
    """
    return root_of_unity(log_n) ** bit_reverse(position, log_n)
