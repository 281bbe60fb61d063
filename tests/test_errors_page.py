"""docs/errors.md lists every class of error, each with a meaning."""

from __future__ import annotations

import re

from tests.conftest import ROOT


def test_the_page_is_current(run_python):
    result = run_python(str(ROOT / "docs" / "errors.py"))
    assert result.returncode == 0, result.stderr
    page = (ROOT / "docs" / "errors.md").read_text()
    assert page == result.stdout, "run: python docs/errors.py > docs/errors.md"
    rows = re.findall(r"^\| `([\w.]+)` \| (\d) \| (.*) \|$", page, re.MULTILINE)
    assert len(rows) > 30
    assert all(meaning.endswith(".") for _, _, meaning in rows), [row for row in rows if not row[2].endswith(".")]
    assert {status for _, status, _ in rows} == {"1", "2"}
