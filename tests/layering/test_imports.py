"""Imports point one way. Parsed from the source, so that a lazy import counts as well."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What each part of zkjax may import from the others. Its own modules and `errors` go unsaid.
ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "fields": set(),
    "transcript": {"fields"},
    "statement": {"transcript", "fields"},
    "circuit": {"statement", "fields"},
    "fixedpoint": {"circuit", "statement", "fields"},
    "frontend": {"fixedpoint", "circuit", "statement", "fields"},
    "witness": {"circuit", "statement", "fields", "compute"},
    "compute": {"fields"},
    "prover": {"statement", "transcript", "compute", "fields", "files"},
    "verifier": {"statement", "transcript", "fields"},
    "files": set(),
}

# One module of the prover is the course of a whole proof: it takes the run that is proved.
COURSE = {"zkjax.prover.prove": {"circuit", "witness"}}

# These join the others together into what a user calls. Nothing else may import them.
JOINING = {"program", "report", "api", "recompile", "cli"}

# The verifier's half never sees JAX, except for these modules that the prover alone imports.
WITHOUT_JAX = ("errors", "fields", "transcript", "statement", "verifier", "files")
WITH_JAX = {
    "zkjax.fields.arrays",
    "zkjax.fields.extension",
    "zkjax.fields.ntt",
    "zkjax.transcript.sha256",
}
VERIFIER_FIELDS = {"zkjax.fields", "zkjax.fields.mersenne61", "zkjax.fields.vectors"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path
    for package in ("zkjax", "pallas_kernels")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def imports_of(name: str) -> list[tuple[str, int]]:
    """Every module that `name` imports anywhere in its source, with the line."""
    found = []
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: a relative import"
            for alias in node.names:
                member = f"{node.module}.{alias.name}"
                found.append((member if member in MODULES else node.module or "", node.lineno))
    return found


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


PARTS = sorted({part_of(name) for name in MODULES if name.startswith("zkjax.")} - JOINING)


def test_every_part_has_its_arrows():
    assert set(PARTS) <= set(ARROWS), "a new part: say in ARROWS what it may import"


def test_the_arrows_form_no_cycle():
    reachable = {part: set(targets) for part, targets in ARROWS.items()}
    for _ in ARROWS:
        for targets in reachable.values():
            targets |= {further for target in targets for further in reachable[target]}
    assert [part for part, targets in reachable.items() if part in targets] == []


@pytest.mark.parametrize("part", PARTS)
def test_imports_follow_the_arrows(part):
    allowed = ARROWS[part] | {part, "errors"}
    course = {name: allowed | more for name, more in COURSE.items()}
    wrong = [
        f"{name}:{line} imports {target}"
        for name in MODULES
        if name.startswith("zkjax.") and part_of(name) == part
        for target, line in imports_of(name)
        if target.split(".")[0] == "zkjax" and part_of(target) not in course.get(name, allowed)
    ]
    assert wrong == []


@pytest.mark.parametrize("part", [part for part in WITHOUT_JAX if part in PARTS])
def test_the_verifiers_half_imports_only_numpy_and_the_standard_library(part):
    own = [n for n in MODULES if n.startswith("zkjax.") and part_of(n) == part]
    wrong = [
        f"{name}:{line} imports {target}"
        for name in own
        if name not in WITH_JAX
        for target, line in imports_of(name)
        if target in WITH_JAX or target.split(".")[0] not in {"zkjax", "numpy"} | set(sys.stdlib_module_names)
    ]
    assert wrong == []


def test_the_verifier_uses_the_fields_of_integers_only():
    wrong = [
        f"{name}:{line} imports {target}"
        for name in MODULES
        if part_of(name) in ("verifier", "statement")
        for target, line in imports_of(name)
        if part_of(target) == "fields" and target not in VERIFIER_FIELDS
    ]
    assert wrong == []


def test_kernels_are_leaves():
    wrong = [
        f"{name}:{line} imports {target}"
        for name in MODULES
        if name.split(".")[0] == "pallas_kernels"
        for target, line in imports_of(name)
        if target.split(".")[0] == "zkjax"
    ]
    assert wrong == []


def test_only_compute_reaches_for_the_kernels():
    wrong = [
        f"{name}:{line} imports {target}"
        for name in MODULES
        if name.startswith("zkjax.") and part_of(name) != "compute"
        for target, line in imports_of(name)
        if target.split(".")[0] == "pallas_kernels"
    ]
    assert wrong == []


def test_the_parser_sees_every_kind_of_import():
    """A parser that finds nothing would pass all of the above."""
    assert ("jax", 0) not in imports_of("zkjax")
    assert {"zkjax.errors", "importlib"} <= {target for target, _ in imports_of("zkjax")}
    assert "zkjax.files.artefact" in {target for target, _ in imports_of("zkjax.files")}
