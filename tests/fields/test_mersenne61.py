"""The integer field: conversions, the element class, roots of unity."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkjax.fields.mersenne61 import (
    K,
    P,
    bit_reverse,
    evaluation_point,
    inverse,
    root_of_unity,
    to_field,
    to_signed,
)

integers = st.integers(-(1 << 70), 1 << 70)
elements = st.builds(K, integers, integers)


@given(integers)
def test_signed_and_canonical_are_the_same_residue(x):
    assert 0 <= to_field(x) < P
    assert -P // 2 < to_signed(x) <= P // 2
    assert (to_field(x) - x) % P == (to_signed(x) - x) % P == 0


@pytest.mark.parametrize(("value", "signed"), [(0, 0), (P, 0), (P - 1, -1), (P // 2, P // 2), (P // 2 + 1, -(P // 2))])
def test_signed_edges(value, signed):
    assert to_signed(value) == signed


def test_inverse_of_zero_is_refused():
    for zero in (0, P, -P):
        with pytest.raises(ZeroDivisionError):
            inverse(zero)
    with pytest.raises(ZeroDivisionError):
        K.ZERO.inverse()
    with pytest.raises(ZeroDivisionError):
        K(1, 2) / K(P, P)
    with pytest.raises(ZeroDivisionError):
        1 / K.ZERO
    with pytest.raises(ZeroDivisionError):
        K.ONE / 0
    with pytest.raises(ZeroDivisionError):
        K.ZERO**-1


@given(elements, integers)
def test_integers_mix_as_residues(a, x):
    assert a + x == x + a == a + K(x)
    assert a - x == a - K(x)
    assert x - a == K(x) - a
    assert a * x == x * a == a * K(x)
    if x % P:
        assert a / x == a / K(x)
    if a:
        assert x / a == K(x) / a
    assert (K(x) == x) and (K(x, 1) != x)


@given(elements, st.integers(-50, 50), st.integers(-50, 50))
def test_powers_add_exponents(a, m, n):
    if a or (m >= 0 and n >= 0):
        assert a**m * a**n == a ** (m + n)


def test_frobenius_is_conjugation():
    a = K(123456789, 987654321)
    assert a**P == a.conjugate()
    assert a ** (P * P - 1) == 1
    assert a * a.conjugate() == a.norm()
    assert K.ZERO**0 == 1


@given(elements)
def test_bytes_round_trip(a):
    encoded = a.to_bytes()
    assert len(encoded) == 16
    assert encoded == a.re.to_bytes(8, "little") + a.im.to_bytes(8, "little")
    assert K.from_bytes(encoded) == a


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        bytes(15),
        bytes(17),
        P.to_bytes(8, "little") + bytes(8),
        bytes(8) + P.to_bytes(8, "little"),
        b"\xff" * 16,
        (P + 1).to_bytes(8, "little") + bytes(8),
    ],
)
def test_bytes_that_encode_nothing_are_refused(encoded):
    with pytest.raises(ValueError, match=r"canonical|bytes"):
        K.from_bytes(encoded)


def test_elements_are_immutable_values():
    a = K(3, 4)
    for change in (lambda: setattr(a, "re", 1), lambda: delattr(a, "im")):
        with pytest.raises(AttributeError):
            change()
    with pytest.raises(AttributeError):
        a.other = 1
    assert len({K(3, 4), K(3 + P, 4 - P), a}) == 1
    assert copy.deepcopy(a) == a == pickle.loads(pickle.dumps(a))
    assert eval(repr(a)) == a
    assert not K.ZERO and K.I and K.I**2 == -1


def test_numpy_scalars_convert_and_do_not_capture():
    a = K(np.uint64(P - 1), np.int64(-1))
    assert type(a.re) is int and a == K(-1, -1)
    with pytest.raises(TypeError):
        np.uint64(3) * a
    with pytest.raises(TypeError):
        np.arange(3) * a
    for wrong in (1.0, "1", None):
        with pytest.raises(TypeError):
            K(wrong)
        with pytest.raises(TypeError):
            a + wrong
        assert a != wrong


def test_roots_of_unity_form_one_tower():
    assert root_of_unity(0) == 1
    assert root_of_unity(1) == -1
    assert root_of_unity(2) == K.I
    assert root_of_unity(3) == K(1 << 30, 1 << 30)
    for log_order in range(1, 62):
        root = root_of_unity(log_order)
        assert root**2 == root_of_unity(log_order - 1)
        assert root ** (1 << (log_order - 1)) == -1
        assert root.norm() == 1 and root.inverse() == root.conjugate()
    for wrong in (-1, 62):
        with pytest.raises(ValueError, match="log_order"):
            root_of_unity(wrong)


def test_evaluation_points_are_all_roots_in_bit_reversed_order():
    assert [bit_reverse(j, 3) for j in range(8)] == [0, 4, 2, 6, 1, 5, 3, 7]
    assert bit_reverse(0, 0) == 0
    points = [evaluation_point(j, 5) for j in range(32)]
    assert len(set(points)) == 32 and all(x**32 == 1 for x in points)
    assert points[0] == 1 and points[1] == -1 and points[16] == root_of_unity(5)
    for wrong in (-1, 32):
        with pytest.raises(ValueError, match="does not fit"):
            evaluation_point(wrong, 5)
