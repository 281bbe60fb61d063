"""The ledger counts every opening once, across processes and crashes, and never forgets one."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap

import pytest

from zkjax.files import BudgetUsedUp, CannotWrite, DamagedFile, ForeignFile, Ledger, UnknownVersion
from zkjax.files import ledger as ledger_module
from zkjax.files.ledger import HEADER, RECORD

DATA = b"d" * 32
WEIGHTS = b"w" * 32


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "openings.ledger")


def test_counts_up_to_the_budget(ledger):
    assert ledger.used(DATA) == 0
    assert [ledger.reserve(DATA, 3) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(BudgetUsedUp, match="opened 3 times"):
        ledger.reserve(DATA, 3)
    assert ledger.reserve(WEIGHTS, 1) == 1
    assert Ledger(ledger.path).used(DATA) == 3


def test_tells_what_it_counted_and_what_it_is(ledger, tmp_path):
    assert not ledger.is_one()
    ledger.reserve(WEIGHTS, 1)
    ledger.reserve(DATA, 3)
    assert ledger.is_one()
    assert ledger.counts() == {WEIGHTS: (1, 1), DATA: (1, 3)}
    (tmp_path / "other").write_bytes(b"PK")
    assert not Ledger(tmp_path / "other").is_one()
    assert not Ledger(tmp_path).is_one()


def test_reading_needs_no_right_to_write_and_makes_nothing(ledger, monkeypatch):
    assert ledger.counts() == {}
    assert not ledger.path.exists()
    ledger.reserve(DATA, 3)
    opened, real = [], os.open
    monkeypatch.setattr(os, "open", lambda path, flags, *mode: opened.append(flags) or real(path, flags, *mode))
    assert ledger.used(DATA) == 1
    assert all(flags & os.O_ACCMODE == os.O_RDONLY and not flags & os.O_CREAT for flags in opened)


def test_is_private(ledger):
    ledger.reserve(DATA, 3)
    assert ledger.path.stat().st_mode & 0o777 == 0o600


def test_a_budget_cannot_be_raised_later(ledger):
    ledger.reserve(DATA, 3)
    with pytest.raises(DamagedFile, match="budget of 3, expected 4"):
        ledger.reserve(DATA, 4)


def test_the_record_is_synced_before_the_reservation_returns(ledger, monkeypatch):
    synced = []
    real = os.fsync

    def fsync(descriptor):
        synced.append(os.fstat(descriptor).st_size)
        real(descriptor)

    monkeypatch.setattr(ledger_module.os, "fsync", fsync)
    ledger.reserve(DATA, 3)
    assert len(HEADER) + RECORD.size in synced


def test_a_full_disk_refuses_the_opening(ledger, monkeypatch):
    ledger.reserve(DATA, 3)

    def half(descriptor, content):
        real(descriptor, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    real = ledger_module.write_all
    monkeypatch.setattr(ledger_module, "write_all", half)
    with pytest.raises(CannotWrite, match="No space left"):
        ledger.reserve(DATA, 3)
    monkeypatch.undo()
    assert ledger.reserve(DATA, 3) == 2


@pytest.mark.parametrize("cut", range(1, len(HEADER) + 2 * RECORD.size))
def test_a_torn_tail_was_never_an_opening(ledger, cut):
    for _ in range(2):
        ledger.reserve(DATA, 9)
    whole = ledger.path.read_bytes()
    os.truncate(ledger.path, cut)
    kept = max(0, cut - len(HEADER)) // RECORD.size
    assert ledger.reserve(DATA, 9) == kept + 1
    assert ledger.path.read_bytes() == whole[: len(HEADER) + (kept + 1) * RECORD.size]


def test_every_flipped_byte_is_noticed(ledger):
    for _ in range(2):
        ledger.reserve(DATA, 9)
    whole = ledger.path.read_bytes()
    for position in range(len(whole)):
        content = bytearray(whole)
        content[position] ^= 1
        ledger.path.write_bytes(content)
        with pytest.raises((DamagedFile, ForeignFile, UnknownVersion)):
            ledger.used(DATA)


def test_a_dropped_or_repeated_record_is_noticed(ledger):
    for digest in (DATA, WEIGHTS, DATA):
        ledger.reserve(digest, 9)
    whole = ledger.path.read_bytes()
    first, second, third = (
        whole[len(HEADER) + n * RECORD.size : len(HEADER) + (n + 1) * RECORD.size] for n in range(3)
    )
    for records in (first + third, second + third, first + second + third + third, second + first):
        ledger.path.write_bytes(HEADER + records)
        with pytest.raises(DamagedFile, match="record"):
            ledger.reserve(DATA, 9)


RESERVE = """
    import sys
    from pathlib import Path
    from zkjax.files import BudgetUsedUp, Ledger
    ledger, done = Ledger(Path(sys.argv[1])), 0
    while True:
        try:
            ledger.reserve(b"d" * 32, 100)
        except BudgetUsedUp:
            break
        done += 1
    print(done)
"""


def test_processes_share_one_count(ledger, root):
    command = [sys.executable, "-c", textwrap.dedent(RESERVE), str(ledger.path)]
    processes = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sum(int(process.communicate()[0]) for process in processes) == 100
    assert ledger.used(DATA) == 100


def test_a_missing_folder(tmp_path):
    with pytest.raises(CannotWrite):
        Ledger(tmp_path / "missing" / "ledger").reserve(DATA, 1)
