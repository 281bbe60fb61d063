"""Runs of one circuit on different secrets; programs are compiled once."""

from __future__ import annotations

import pytest

from tests.privacy.recording import Recorded, record
from tests.soundness.block import Case


@pytest.fixture(scope="session")
def case() -> Case:
    return Case.make()


@pytest.fixture(scope="session")
def recorded(case: Case) -> Recorded:
    return record(case)
