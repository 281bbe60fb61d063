"""The roofline at a tiny shape: the page holds every phase, and reasons exactly where they are due."""

from __future__ import annotations


def test_the_page(benchmark):
    roofline = benchmark("roofline")
    shape = roofline.Shape(inputs=4, width=4, layers=2, classes=10, batch=4, steps=2, rows=16)
    result = roofline.measured(shape, repeat=1, effort=1)
    assert result["phases"].keys() == result["block"]["phases"].keys() == roofline.REASONS.keys()
    for figures in result["phases"].values():
        limit = max(figures["arithmetic_seconds"], figures["memory_seconds"])
        assert 0 < limit == figures["limit_seconds"]
        assert figures["ratio"] == figures["seconds"] / limit
    for figures in result["phases"].values():
        figures["ratio"] = 1.5
    result["phases"]["claims"]["ratio"] = 3.5
    text = roofline.page(result, "the command")
    both, one = result["rates"]["folded"], result["rates_of_one_core"]["folded"]
    assert f"| {both / 1e9:.3g} GB | {one / 1e9:.3g} GB | {both / one:.2f} |" in text
    assert text.startswith("<!-- Printed by: the command -->\n# Roofline\n")
    assert [line for line in text.splitlines() if line.startswith("- ")] == [f"- claims: {roofline.REASONS['claims']}."]


def test_limits(benchmark):
    roofline = benchmark("roofline")
    speed = roofline.rates.Rates(2, base=1, extension=2, floats=4, hashed=8, hashed_in_order=4, moved=10, folded=1)
    work = roofline.Work(extension=2, floats=8, hashed=8, hashed_in_order=2, moved=50)
    assert roofline.limits(work, speed) == (1 + 2 + 1 + 0.5, 5)
    assert roofline.Work(1, 2, 3, 4, 5) + roofline.Work(1, 1, 1, 1, 1) == roofline.Work(2, 3, 4, 5, 6)
