"""Mutants that no test kills, and why none can or need."""

KNOWN: dict[tuple[str, str], str] = {}
