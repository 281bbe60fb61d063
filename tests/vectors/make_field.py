"""Write field.json: known answers in F and K from plain integers, without zkjax.

python tests/vectors/make_field.py
"""

from __future__ import annotations

import json
import random
from pathlib import Path

PRIME = (1 << 61) - 1
SEED = 20240613
EDGES = [(0, 1), (1, 0), (PRIME - 1, PRIME - 1), (1 << 60, 1 << 30), (PRIME - 1, 0)]

Pair = tuple[int, int]


def multiply(a: Pair, b: Pair) -> Pair:
    return (a[0] * b[0] - a[1] * b[1]) % PRIME, (a[0] * b[1] + a[1] * b[0]) % PRIME


def power(a: Pair, exponent: int) -> Pair:
    result = (1, 0)
    for bit in bin(exponent)[2:]:
        result = multiply(result, result)
        if bit == "1":
            result = multiply(result, a)
    return result


def roots() -> list[Pair]:
    """The tower of roots that starts at (1 + 4i)/(1 - 4i), from order 1 up to 2^61."""
    numerator, denominator = (1, 4), (1, PRIME - 4)
    root = multiply(numerator, power(denominator, PRIME * PRIME - 2))
    tower = [root]
    for _ in range(61):
        tower.append(multiply(tower[-1], tower[-1]))
    return tower[::-1]


def main() -> None:
    generator = random.Random(SEED)

    def element() -> Pair:
        return generator.randrange(PRIME), generator.randrange(PRIME)

    values = EDGES + [element() for _ in range(8)]
    pairs = [(a, b) for a in values[:8] for b in values[5:]]
    tower = roots()
    coefficients = [element() for _ in range(6)]
    evaluations = []
    for position in range(8):
        x = power(tower[3], int(f"{position:03b}"[::-1], 2))
        terms = [multiply(c, power(x, e)) for e, c in enumerate(coefficients)]
        evaluations.append((sum(t[0] for t in terms) % PRIME, sum(t[1] for t in terms) % PRIME))
    answers = {
        "products": [[a, b, multiply(a, b)] for a, b in pairs],
        "inverses": [[a, power(a, PRIME * PRIME - 2)] for a in values],
        "roots": tower,
        "coefficients": coefficients,
        "evaluations": evaluations,
    }
    target = Path(__file__).with_name("field.json")
    target.write_text(json.dumps(answers, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
