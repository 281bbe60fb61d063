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
    # Refused by another rule, with the same class of error.
    **{
        ("statement.circuit", f"_built: {what}"): "what is built is refused as illegal, or is not written so again"
        for what in (
            "never not isinstance(row, list) or len(row) != len(fields(kind))",
            "without not isinstance(row, list)",
            "without len(row) != len(fields(kind))",
        )
    },
    (
        "statement.parameters",
        "is_legal: self.dimension <= self.length, not self.dimension < self.length",
    ): "no parameters give a code without any redundancy (test_no_code_is_without_redundancy)",
    # The same value, or the same decision.
    **{
        ("statement.plan", f"claim_counts: {what}"): "a count beyond this is too much in either case"
        for what in (
            "counts[operand] + counts[index] for min(counts[operand] + counts[index], MAX_CLAIM_WORK + 1)",
            "MAX_CLAIM_WORK for MAX_CLAIM_WORK + 1",
        )
    },
    ("statement.plan", "code: self.hidden_before_opening for self.hidden_before_opening + 128"): (
        "room for the pads of the opening, of which there are fewer: no circuit of the tests has pads for just a row"
    ),
    # Values within the same bound, at another cost.
    **{
        ("statement.formulas", what): why
        for why, mutated in {
            "more terms of a series than are needed": (
                "_erf_series: 59 for 59 + 5 * n",
                "_erf_series: 5 * n for 59 + 5 * n",
                "_erf_series: 64 for 64 + 5 * n",
                "_erf_series: 5 * n for 64 + 5 * n",
                "_exp: _largest(term) < 1, not _largest(term) <= 1",
                "_exp: bits for bits - level",
            ),
            "cut off downwards or upwards, not to the nearest: guard digits hold the longer rest": (
                "_exp: u << 16 + guard for (u << 16 + guard) + (log_two >> 1)",
                "_exp: r for r + (1 << step - 1)",
                "_exp: step for step - 1",
                "_exp: 1 for step - 1",
                "_erf: inner for inner + (1 << step - 1)",
                "_erf: step for step - 1",
                "_erf: 1 for step - 1",
            ),
            "what is below has no unit in the last place, however it is computed": (
                "_exp: without u = np.maximum(u, -MAX_EXPONENT * self.one)",
            ),
            "fewer guard digits, and still enough: what a term has lost cancels as the terms do": (
                "_erf_at: 2 * (index * index // 256) for 2 * (index * index // 256) + 64",
                "_erf_at: 64 for 2 * (index * index // 256) + 64",
            ),
            "the complement is below the last place there too, for the precisions in use": (
                "_erf_limit: isqrt(precision) for isqrt(precision) + 1",
            ),
        }.items()
        for what in mutated
    },
    (
        "statement.formulas",
        "value: _largest(values).bit_length() >= self.precision + 2 * MAX_EXPONENT, "
        "not _largest(values).bit_length() > self.precision + 2 * MAX_EXPONENT",
    ): "a bound on memory: one bit more or less is no matter, and both sides use the same",
    **{("statement.parameters", f"_chosen: 1 for LOG_BLOWUP - 1{number}"): "the same number" for number in ("", " #2")},
    (
        "statement.tables",
        "bits: (self.size - 1).bit_length() for max(0, (self.size - 1).bit_length())",
    ): "a number of bits is never negative",
    (
        "statement.opening",
        "weight_at: without place",
    ): "a factor that is zero saves work, and makes the product zero too",
    (
        "statement.opening",
        "pad_form: without min(coefficients) <= max(coefficients) of "
        "0 <= min(coefficients) <= max(coefficients) < pads",
    ): "the least is never above the greatest",
    **{
        ("statement.public", f"_last_axis: {what}"): why
        for what, why in {
            "8 * rows.dtype.itemsize for max(1, 8 * rows.dtype.itemsize)": "an entry has a byte at least",
            "_ROOM - bits for min(31, _ROOM - bits)": "limbs as wide as there is room for; their sums are as exact",
            "1 for max(1, _BLOCK // min(_COLUMNS, rows.shape[1]))": "how many rows are held at once",
            "_BLOCK // min(_COLUMNS, rows.shape[1]) for max(1, _BLOCK // min(_COLUMNS, rows.shape[1]))": (
                "a block holds more entries than a row has columns at once"
            ),
            "_COLUMNS for min(_COLUMNS, rows.shape[1])": "how many rows are held at once",
            "rows.shape[1] for min(_COLUMNS, rows.shape[1])": "how many rows are held at once",
        }.items()
    },
    ("statement.statement", "check: without len(self.outputs) != len(shapes)"): (
        "shapes are compared as lists: another number of them is refused there"
    ),
    ("transcript.hidden", "linear_form: weight * factor for weight if factor is K.ONE else weight * factor"): (
        "a product with one is saved"
    ),
    **{
        ("transcript.hidden", name): "an element plus zero is itself; for integers, the operations of K take them too"
        for name in ("__mul__: factor for K.ZERO + factor", "known: value for K.ZERO + value")
    },
    (
        "transcript.sponge",
        "absorb_zeros: _ZERO_CHUNK for min(count, _ZERO_CHUNK)",
    ): "how large the zeros are that are hashed piece by piece",
    (
        "transcript.sponge",
        "_work_prefix: 0 <= bits < 64, not 0 <= bits <= 64",
    ): "nobody asks for 64 bits of work, which nobody could do",
}
