"""Mutants that no test kills, and why none can or need."""

KNOWN: dict[tuple[str, str], str] = {
    (
        "verifier.verify",
        "verify: bits <= SOUNDNESS_FLOOR_BITS, not bits < SOUNDNESS_FLOOR_BITS",
    ): "no parameters reach exactly the floor, a sum of powers of irrational numbers",
    (
        "statement.ranges",
        "_committed_ranges: without circuit.tables[lookup.table].arity == 1",
    ): "the first coordinate of a tuple bounds a leaf just as well; the rule is narrower than it need be",
    (
        "statement.ranges",
        "_limb_range: (unknown, interval) for None if unknown is None else (unknown, interval)",
    ): "a fact about no node is never asked for",
}
