"""Arrays over F and K in NumPy: the verifier's tables and the prover's host-side code.

A base array is uint64, canonical: every entry in [0, p). An extension array is an `Ext` of two
base arrays of one shape. Inputs must be canonical, outputs are; a dtype other than uint64 raises
TypeError, whether values are canonical is the caller's to know. Operands broadcast as in NumPy.

Products are taken in two limbs of 31 and 30 bits, reduced once per output plane. With
a = a0 + 2^31 a1 and mid = a0 b1 + a1 b0,

    a b = a0 b0 + 2 a1 b1 + (mid >> 30) + ((mid mod 2^30) << 31)   mod p, below 2^63,

so that two products and one more element fit in 64 bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from zkjax.fields.mersenne61 import ELEMENT_BYTES, K, P, root_of_unity

Base = NDArray[np.uint64]

_P = np.uint64(P)
_M30 = np.uint64((1 << 30) - 1)
_M31 = np.uint64((1 << 31) - 1)
_M32 = np.uint64((1 << 32) - 1)
_ONE = np.uint64(1)
_30 = np.uint64(30)
_31 = np.uint64(31)
_32 = np.uint64(32)
_61 = np.uint64(61)

# Temporaries of this many entries stay in cache.
_BLOCK = 1 << 13


class Ext(tuple[Any, ...]):
    """An array over K: the planes of real and imaginary parts, two uint64 arrays of one shape.

    The planes are NumPy arrays here and JAX arrays in `extension` and `ntt`. A named tuple of its
    planes in all but indexing, which goes into the planes, an `Ext` is a pytree without being
    registered. `len` is that of the tuple, two; use `shape`.
    """

    __slots__ = ()
    _fields = ("re", "im")  # what makes a tuple a named tuple to JAX

    def __new__(cls, re: Any, im: Any) -> Ext:
        return tuple.__new__(cls, (re, im))

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        return f"Ext(re={self.re!r}, im={self.im!r})"

    @property
    def re(self) -> Any:
        """The plane of real parts."""
        return tuple.__getitem__(self, 0)

    @property
    def im(self) -> Any:
        """The plane of imaginary parts."""
        return tuple.__getitem__(self, 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of each plane."""
        return self.re.shape

    @property
    def ndim(self) -> int:
        """The number of axes of each plane."""
        return self.re.ndim

    @property
    def size(self) -> int:
        """The number of elements of K."""
        return self.re.size

    def __getitem__(self, item: Any) -> Ext:
        """Index both planes."""
        return Ext(self.re[item], self.im[item])

    def reshape(self, *shape: Any) -> Ext:
        """Reshape both planes."""
        return Ext(self.re.reshape(*shape), self.im.reshape(*shape))

    @classmethod
    def from_list(cls, elements: Sequence[K]) -> Ext:
        """The NumPy array [len(elements)] of a sequence of elements."""
        re = np.array([element.re for element in elements], dtype=np.uint64)
        im = np.array([element.im for element in elements], dtype=np.uint64)
        return cls(re, im)

    def to_list(self) -> list[K]:
        """The elements in row-major order. Works on JAX planes as well."""
        re, im = np.asarray(self.re), np.asarray(self.im)
        return [K(a, b) for a, b in zip(re.ravel().tolist(), im.ravel().tolist(), strict=True)]

    def item(self) -> K:
        """The only element. Raises ValueError if there are several."""
        return K(np.asarray(self.re).item(), np.asarray(self.im).item())

    def to_bytes(self) -> bytes:
        """The concatenated encodings of the elements in row-major order, 16 bytes each."""
        planes = np.stack([np.asarray(self.re).ravel(), np.asarray(self.im).ravel()], axis=-1)
        return planes.astype("<u8", copy=False).tobytes()

    @classmethod
    def from_bytes(cls, encoded: bytes) -> Ext:
        """Decode `to_bytes` into an array of one axis.

        Raises ValueError on a length that is no multiple of 16 or a part that is not below p.
        """
        if len(encoded) % ELEMENT_BYTES:
            raise ValueError(f"elements of K have {ELEMENT_BYTES} bytes each, got {len(encoded)}")
        planes = np.frombuffer(encoded, dtype="<u8").astype(np.uint64).reshape(-1, 2)
        above = np.flatnonzero((planes >= _P).any(axis=1))
        if above.size:
            raise ValueError(f"non-canonical element of K at index {above[0]}")
        return cls(np.ascontiguousarray(planes[:, 0]), np.ascontiguousarray(planes[:, 1]))

    # A tuple would concatenate, repeat and compare here; none of that is arithmetic.
    def _no_operator(self, _other: Any) -> NoReturn:
        raise TypeError("Ext has no operators: call the functions of vectors or extension")

    __add__ = __radd__ = __mul__ = __rmul__ = _no_operator
    __lt__ = __le__ = __gt__ = __ge__ = _no_operator


def _require(*arrays: Any) -> None:
    for array in arrays:
        if getattr(array, "dtype", None) != np.uint64:
            got = getattr(array, "dtype", type(array).__name__)
            raise TypeError(f"field arrays are uint64, got {got}")


def _final(x: Any) -> Any:
    """The canonical representative of x < 2p: the wrapped difference is huge when x < p."""
    # The function, not the operator, which warns of the wrap on scalars.
    return np.minimum(x, np.subtract(x, _P))


def reduce(x: Base) -> Base:
    """The canonical representative of any uint64."""
    _require(x)
    return _final((x & _P) + (x >> _61))


def _lazy_mul(a: Any, b: Any) -> Any:
    """A representative below 2^63 of a b, for entries in [0, p]."""
    a0, a1, b0, b1 = a & _M31, a >> _31, b & _M31, b >> _31
    middle = a0 * b1 + a1 * b0
    return a0 * b0 + ((a1 * b1) << _ONE) + (middle >> _30) + ((middle & _M30) << _31)


def _lazy_dot(a: Any, b: Any, c: Any, d: Any) -> Any:
    """A representative below 2^64 of a b + c d, for entries in [0, p]."""
    a0, a1, b0, b1 = a & _M31, a >> _31, b & _M31, b >> _31
    c0, c1, d0, d1 = c & _M31, c >> _31, d & _M31, d >> _31
    low = a0 * b0 + c0 * d0
    high = a1 * b1 + c1 * d1
    middle = a0 * b1 + a1 * b0 + c0 * d1 + c1 * d0
    return low + (high << _ONE) + (middle >> _30) + ((middle & _M30) << _31)


def from_signed(values: NDArray[np.int64]) -> Base:
    """The residues of any int64 array. Raises TypeError for another dtype."""
    values = np.asarray(values)
    if values.dtype != np.int64:
        raise TypeError(f"signed values are int64, got {values.dtype}")
    folded = (values & np.int64(P)) + (values >> np.int64(61))
    folded = np.where(folded < 0, folded + np.int64(P), folded)
    return _final(folded.astype(np.uint64))


def to_signed(a: Base) -> NDArray[np.int64]:
    """The representatives of least magnitude, in (-p/2, p/2), as int64."""
    _require(a)
    signed = a.astype(np.int64)
    return np.where(a > np.uint64(P // 2), signed - np.int64(P), signed)


def add(a: Base, b: Base) -> Base:
    """a + b in F."""
    _require(a, b)
    return _final(a + b)


def sub(a: Base, b: Base) -> Base:
    """a - b in F."""
    _require(a, b)
    return _final(a + (_P - b))


def neg(a: Base) -> Base:
    """-a in F."""
    _require(a)
    return _final(_P - a)


def mul(a: Base, b: Base) -> Base:
    """a b in F."""
    _require(a, b)
    return reduce(_lazy_mul(a, b))


def base_sum(a: Base, axis: int | tuple[int, ...] | None = None) -> Base:
    """The sum in F over `axis`, or over all; fewer than 2^32 terms."""
    _require(a)
    low: Any = np.sum(a & _M32, axis=axis, dtype=np.uint64)
    high: Any = np.sum(a >> _32, axis=axis, dtype=np.uint64)
    return reduce(_lazy_mul(reduce(high), np.uint64(1 << 32)) + reduce(low))


def ext_add(a: Ext, b: Ext) -> Ext:
    """a + b in K."""
    return Ext(add(a.re, b.re), add(a.im, b.im))


def ext_sub(a: Ext, b: Ext) -> Ext:
    """a - b in K."""
    return Ext(sub(a.re, b.re), sub(a.im, b.im))


def ext_neg(a: Ext) -> Ext:
    """-a in K."""
    return Ext(neg(a.re), neg(a.im))


def conjugate(a: Ext) -> Ext:
    """re - im i."""
    return Ext(a.re, neg(a.im))


def ext_mul(a: Ext, b: Ext) -> Ext:
    """a b in K."""
    _require(*a, *b)
    return Ext(
        reduce(_lazy_dot(a.re, b.re, a.im, _P - b.im)),
        reduce(_lazy_dot(a.re, b.im, a.im, b.re)),
    )


def ext_mul_base(a: Ext, b: Base) -> Ext:
    """a b for a over K and b over F."""
    return Ext(mul(a.re, b), mul(a.im, b))


def scalar(element: K | int) -> Ext:
    """An element as an array without axes."""
    element = element if isinstance(element, K) else K(element)
    return Ext(np.uint64(element.re), np.uint64(element.im))


def ext_scale(a: Ext, factor: K) -> Ext:
    """Every entry times one element."""
    return ext_mul(a, scalar(factor))


def ext_sum(a: Ext, axis: int | tuple[int, ...] | None = None) -> Ext:
    """The sum in K over `axis`, or over all; fewer than 2^32 terms."""
    return Ext(base_sum(a.re, axis), base_sum(a.im, axis))


def _same_shape(a: Any, b: Any) -> None:
    if a.shape != b.shape:
        raise ValueError(f"inner products take equal shapes, got {a.shape} and {b.shape}")


def inner(a: Ext, b: Ext) -> K:
    """The sum of a_i b_i over all entries. Raises ValueError unless the shapes are equal."""
    _same_shape(a, b)
    a, b = a.reshape(-1), b.reshape(-1)
    total = K.ZERO
    for start in range(0, a.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        total += ext_sum(ext_mul(a[block], b[block])).item()
    return total


def inner_base(a: Ext, b: Base) -> K:
    """The sum of a_i b_i, a over K and b over F. Raises ValueError unless the shapes are equal."""
    _same_shape(a, b)
    a, b = a.reshape(-1), b.reshape(-1)
    total = K.ZERO
    for start in range(0, a.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        total += ext_sum(ext_mul_base(a[block], b[block])).item()
    return total


def matrix_vector(matrix: Ext, vector: Ext) -> Ext:
    """The sums over j of m_ij v_j, [n], for a matrix [n, k] and a vector [k]. Raises ValueError for other shapes."""
    if matrix.ndim != 2 or matrix.shape[1:] != vector.shape:
        raise ValueError(f"a matrix [n, k] takes a vector [k], got {matrix.shape} and {vector.shape}")
    rows, width = matrix.shape
    sums = Ext(np.zeros(rows, np.uint64), np.zeros(rows, np.uint64))
    columns = min(width, _BLOCK)
    for start in range(0, width, _BLOCK):
        block = slice(start, start + columns)
        for first in range(0, rows, count := max(1, _BLOCK // columns)):
            some = slice(first, first + count)
            part = ext_add(sums[some], ext_sum(ext_mul(matrix[some, block], vector[block]), axis=1))
            for plane, added in zip(sums, part, strict=True):
                plane[some] = added
    return sums


def outer(a: Ext, b: Ext) -> Ext:
    """The products a_i b_j of two arrays of one axis, [len a, len b]."""
    return ext_mul(a[:, None], b[None, :])


def outer_base(a: Base, b: Base) -> Base:
    """The products a_i b_j in F of two arrays of one axis, [len a, len b]."""
    return mul(a[:, None], b[None, :])


def powers(element: K, count: int) -> Ext:
    """1, x, x^2, ... as an array [count]."""
    if count < 0:
        raise ValueError(f"count must not be negative, got {count}")
    result = Ext.from_list([K.ONE])
    step = element
    while result.size < count:
        missing = count - result.size
        result = _concatenate([result, ext_scale(result[:missing], step)])
        step = step * step
    return result[:count]


def _concatenate(parts: Sequence[Ext]) -> Ext:
    return Ext(np.concatenate([x.re for x in parts]), np.concatenate([x.im for x in parts]))


def equality_weights(point: Sequence[K]) -> Ext:
    """The weights eq(point, index) of all 2^n indices, [2^n].

    Most significant variable first: bit n-1 of the index belongs to `point[0]`. The weight is the
    product over variables of `r` where the bit is one and `1 - r` where it is zero.
    """
    weights = Ext.from_list([K.ONE])
    for r in reversed(point):
        upper = ext_scale(weights, r)
        weights = _concatenate([ext_sub(weights, upper), upper])
    return weights


def evaluate_multilinear(table: Base | Ext, point: Sequence[K]) -> K:
    """The multilinear extension of `table`, extended by zero to 2^n entries, at `point`.

    `table` has one axis of any length d <= 2^n, over F or K. Most significant variable first:
    bit n-1 of the index belongs to `point[0]`. Raises ValueError for another shape.
    """
    shape = table.shape
    if len(shape) != 1 or shape[0] > 1 << len(point):
        raise ValueError(f"a table of shape {shape} has no extension in {len(point)} variables")
    low_variables = min(len(point), 13)
    high_point, low_point = point[: len(point) - low_variables], point[len(point) - low_variables :]
    low = equality_weights(low_point)
    width = 1 << low_variables
    sums: list[K] = []
    for start in range(0, shape[0], width):
        part = table[start : start + width]
        weights = low[: part.shape[0]]
        sums.append(inner(weights, part) if isinstance(part, Ext) else inner_base(weights, part))
    if len(sums) == 1:
        return sums[0] * math.prod((1 - r for r in high_point), start=K.ONE)
    return evaluate_multilinear(Ext.from_list(sums), high_point) if sums else K.ZERO


def transform(coefficients: Ext, log_n: int) -> Ext:
    """Evaluate a polynomial over K at the 2^log_n-th roots of unity.

    `coefficients` is [k] or [k, ...], lowest degree first along the leading axis, k <= 2^log_n;
    further axes are independent polynomials. The result has 2^log_n entries along that axis, and
    entry j is the value at `evaluation_point(j, log_n)`: bit-reversed order. Raises ValueError if
    k is larger.
    """
    n = 1 << log_n
    k = coefficients.shape[0]
    if k > n:
        raise ValueError(f"{k} coefficients exceed the {n} points of the transform")
    rows = coefficients.shape[1:]
    planes = [np.zeros((n, math.prod(rows)), dtype=np.uint64) for _ in range(2)]
    for plane, part in zip(planes, coefficients, strict=True):
        _require(part)
        plane[:k] = part.reshape(k, plane.shape[1])
    values = Ext(*planes)
    twiddles = powers(root_of_unity(log_n), max(n // 2, 1))
    for level in range(log_n):
        half = n >> (level + 1)
        pairs = values.reshape(1 << level, 2, half, -1)
        upper, lower = pairs[:, 0], pairs[:, 1]
        factor = twiddles[:: 1 << level].reshape(1, half, 1)
        turned = ext_mul(ext_sub(upper, lower), factor)
        total = ext_add(upper, lower)
        values = Ext(np.stack([total.re, turned.re], axis=1), np.stack([total.im, turned.im], axis=1))
    return values.reshape((n, *rows))
