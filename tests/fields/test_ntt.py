"""The transform against direct evaluation and against NumPy."""

import re

import jax
import pytest

from zkjax.fields import ntt, vectors
from zkjax.fields.mersenne61 import K, evaluation_point

transform = jax.jit(ntt.transform, static_argnums=1)


@pytest.mark.parametrize(("k", "log_n"), [(0, 2), (1, 0), (1, 1), (3, 2), (5, 3), (16, 4), (9, 5)])
def test_against_direct_evaluation(draw, k, log_n):
    coefficients = draw.ext(k, 2)
    values = transform(coefficients, log_n)
    assert values.shape == (1 << log_n, 2)
    for row in range(2):
        column = coefficients[:, row].to_list()
        for position in range(1 << log_n):
            x = evaluation_point(position, log_n)
            expected = sum((c * x**e for e, c in enumerate(column)), K.ZERO)
            assert values[position, row].item() == expected


@pytest.mark.parametrize(
    ("k", "rows", "log_n"),
    [(64, 3, 6), (50, 3, 7), (256, 1, 8), (600, 5, 11), (4096, 2, 12)],
)
def test_against_numpy(draw, k, rows, log_n):
    coefficients = draw.ext(k, rows)
    expected = vectors.transform(coefficients, log_n)
    assert transform(coefficients, log_n).to_list() == expected.to_list()


def test_constants_and_monomials():
    n = 8
    for degree in range(n):
        column = vectors.Ext.from_list([K(int(e == degree)) for e in range(n)]).reshape(n, 1)
        powers = [evaluation_point(j, 3) ** degree for j in range(n)]
        assert transform(column, 3).to_list() == powers


def test_other_shapes_are_refused(draw):
    for wrong in (draw.ext(9, 1), draw.ext(8)):
        with pytest.raises(ValueError, match="do not fit"):
            ntt.transform(wrong, 3)


def test_no_pass_copies_the_whole_array(draw):
    n, rows = 1 << 11, 5
    compiled = transform.lower(draw.ext(n, rows), 11).compile().as_text()
    copied = re.findall(r"= u64\[([\d,]+)\]\S* copy\(", compiled)
    sizes = [eval(shape.replace(",", "*")) for shape in copied]
    assert max(sizes, default=0) < n * rows
