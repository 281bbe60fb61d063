"""One small block and one honest proof for all attacks: its programs are compiled once."""

from __future__ import annotations

import pytest

from tests.soundness.block import Case
from tests.soundness.cheating import Forgery, forge


@pytest.fixture(scope="session")
def case() -> Case:
    return Case.make()


@pytest.fixture(scope="session")
def honest(case: Case) -> Forgery:
    """A proof without lies."""
    return forge(case)
