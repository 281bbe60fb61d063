"""Hidden values against plain linear algebra over K."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkjax.fields.mersenne61 import K, P
from zkjax.transcript.hidden import Hidden

PADS = 6


class Plain:
    """The same linear form as a list of coefficients: constant first, then one per pad."""

    def __init__(self, coefficients: list[K]):
        self.coefficients = coefficients

    @classmethod
    def unit(cls, place: int, factor: K = K.ONE) -> Plain:
        return cls([factor if at == place else K.ZERO for at in range(PADS + 1)])

    def plus(self, other: Plain, factor: K = K.ONE) -> Plain:
        return Plain([a + b * factor for a, b in zip(self.coefficients, other.coefficients, strict=True)])

    def times(self, factor: K) -> Plain:
        return Plain([a * factor for a in self.coefficients])


def expanded(form: Hidden) -> list[K]:
    constant, coefficients = form.linear_form()
    assert set(coefficients) <= set(range(PADS))
    return [constant, *(coefficients.get(pad, K.ZERO) for pad in range(PADS))]


def element(rng: random.Random) -> K:
    return rng.choice([K(0), K(1), K(-1), K.I, K(rng.randrange(P), rng.randrange(P)), K(rng.randrange(5))])


def program(seed: int, length: int) -> list[tuple[Hidden, Plain]]:
    """A random computation on ciphertexts, pads and public values, beside its plain double."""
    rng = random.Random(seed)
    forms: list[tuple[Hidden, Plain]] = []
    for pad in range(PADS):
        cipher = element(rng)
        forms.append((Hidden.ciphertext(cipher, pad), Plain.unit(0, cipher).plus(Plain.unit(pad + 1), -K.ONE)))
        forms.append((Hidden.of_pad(pad), Plain.unit(pad + 1)))
    value = element(rng)
    forms.append((Hidden.known(value), Plain.unit(0, value)))
    for _ in range(length):
        (a, x), (b, y) = rng.choice(forms), rng.choice(forms)
        forms.append(operation(rng.randrange(14), a, x, b, y, element(rng), rng.randrange(-5, 6)))
    return forms


def operation(number: int, a: Hidden, x: Plain, b: Hidden, y: Plain, c: K, n: int) -> tuple[Hidden, Plain]:
    """One of the ways to compute with forms, and what it means."""
    minus, one = x.times(-K.ONE), Plain.unit(0)
    return (
        (a + b, x.plus(y)),
        (a - b, x.plus(y, -K.ONE)),
        (-a, minus),
        (a * c, x.times(c)),
        (c * a, x.times(c)),
        (a * n, x.times(K(n))),
        (n * a, x.times(K(n))),
        (a + c, x.plus(one, c)),
        (c + a, x.plus(one, c)),
        (a - c, x.plus(one, -c)),
        (c - a, minus.plus(one, c)),
        (a + n, x.plus(one, K(n))),
        (n - a, minus.plus(one, K(n))),
        (sum([a, b, a], Hidden.known(0)), x.times(K(2)).plus(y)),
    )[number]


@pytest.mark.parametrize("seed", range(20))
def test_random_programs(seed):
    for form, plain in program(seed, 60):
        assert expanded(form) == plain.coefficients


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(st.integers(0, 10**9), st.integers(0, 30))
def test_random_programs_of_any_length(seed, length):
    form, plain = program(seed, length)[-1]
    assert expanded(form) == plain.coefficients


def test_shared_subexpressions_are_expanded_once():
    """Doubling a form a thousand times has 2**1000 paths to its pad."""
    form = Hidden.ciphertext(K(3), 0)
    for _ in range(1000):
        form = form + form
    assert expanded(form)[:2] == [K(3) * K(2) ** 1000, -(K(2) ** 1000)]


def test_long_chains_need_no_recursion():
    form = Hidden.known(0)
    for place in range(10_000):
        form = form * K.I + Hidden.ciphertext(K(place), place % PADS)
    constant, coefficients = form.linear_form()
    assert sorted(coefficients) == list(range(PADS))
    assert constant == sum((K(place) * K.I ** (9_999 - place) for place in range(10_000)), K.ZERO)


def test_a_ciphertext_is_its_plaintext():
    """c = m + pad, so that c - pad is m whatever the pad."""
    message, pad = K(5, 7), K(11, 13)
    constant, coefficients = Hidden.ciphertext(message + pad, 2).linear_form()
    assert constant + coefficients[2] * pad == message


def test_pads_that_cancel_leave_nothing():
    a, b = Hidden.ciphertext(K(3), 0), Hidden.of_pad(0)
    constant, coefficients = (a + b - 3).linear_form()
    assert constant == K.ZERO
    assert not any(coefficients.values())


def test_forms_are_not_changed_by_use():
    form = Hidden.ciphertext(K(3), 0)
    before = form.linear_form()
    _ = form + 1, form * 5, form - form, -form, (form * 2).linear_form()
    assert form.linear_form() == before


@pytest.mark.parametrize("other", [1.5, "2", None, [1]])
def test_only_elements_and_integers_mix_with_forms(other):
    form = Hidden.known(1)
    for operation in (lambda: form + other, lambda: form - other, lambda: form * other, lambda: other + form):
        with pytest.raises(TypeError):
            operation()


def test_two_forms_have_no_product():
    """A product of hidden values is no linear form: it needs the product argument."""
    form = Hidden.ciphertext(K(3), 0)
    with pytest.raises(TypeError):
        form * form
