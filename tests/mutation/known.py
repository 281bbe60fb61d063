"""Mutants that no test kills, and why none can or need."""

KNOWN: dict[tuple[str, str], str] = {
    (
        "verifier.verify",
        "verify: bits <= SOUNDNESS_FLOOR_BITS, not bits < SOUNDNESS_FLOOR_BITS",
    ): "no parameters reach exactly the floor, a sum of powers of irrational numbers",
}
