"""The folder of one proved block: what may be published, and apart from it what may not.

    DIR/statement.zkjax          public: circuit, schedule, digests of the commitments
    DIR/proof.zkjax              public
    DIR/secret/                  mode 0700, its files 0600:
        data.zkjax               opens the commitment to the data set
        after.zkjax              opens the commitment to the weights after the block
        state.zkjax              the user's state after the block, for the next one to start from
        openings.ledger          how often each commitment was opened
        report.json              timings and accuracies of the run
        .gitignore               keeps all of this folder out of version control

Publishing a run is copying `DIR` without `DIR/secret`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from zkjax.files.artefact import Artefact, Kind, encode, read
from zkjax.files.atomic import SECRET_MODE, Staging, remove_partial, sync_folder, write_whole
from zkjax.files.errors import CannotWrite, MissingFile
from zkjax.files.ledger import Ledger

SUFFIX = ".zkjax"
MAX_SECRET_BYTES = 1 << 36
IGNORE_ALL = b"*\n"


class RunFolder:
    """Names and permissions of the files of one run; creates nothing until asked to."""

    def __init__(self, path: Path | str):
        self.path = Path(path)

    @property
    def statement(self) -> Path:
        return self.path / f"statement{SUFFIX}"

    @property
    def proof(self) -> Path:
        return self.path / f"proof{SUFFIX}"

    @property
    def secret(self) -> Path:
        return self.path / "secret"

    @property
    def ignore(self) -> Path:
        """Tells git to leave the secret folder alone, itself included."""
        return self.secret / ".gitignore"

    @property
    def report(self) -> Path:
        """Timings and accuracies as JSON: secret, because an accuracy tells about the weights."""
        return self.secret / "report.json"

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.secret / "openings.ledger")

    def secret_file(self, name: str) -> Path:
        return self.secret / f"{name}{SUFFIX}"

    def holds_a_run(self) -> bool:
        return self.statement.exists() or self.proof.exists()

    @contextmanager
    def writing(self) -> Iterator[RunFolder]:
        """The folder, created where missing, for one writing process at a time.

        If the body fails before anything was written, a new folder is gone again.

        Raises:
            CannotWrite: it cannot be created or written, or another process is writing to it
        """
        if self.path.exists() and not self.path.is_dir():
            raise CannotWrite(self.path, "is a file, expected a folder")
        created = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.secret.mkdir(mode=0o700, exist_ok=True)
            self.secret.chmod(0o700)
            sync_folder(self.path)
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise CannotWrite(self.path, f"cannot be used: {error.strerror}") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise CannotWrite(self.path, "another process is writing to it") from error
            remove_partial(self.path)
            remove_partial(self.secret)
            if not self.ignore.exists():  # before any secret is there
                write_whole(self.ignore, IGNORE_ALL, mode=SECRET_MODE)
            yield self
        except BaseException:
            with contextlib.suppress(OSError):  # whatever is not empty stays
                if list(self.secret.iterdir()) == [self.ignore]:
                    self.ignore.unlink()
                self.secret.rmdir()
                if created:
                    self.path.rmdir()
            raise
        finally:
            os.close(descriptor)

    def remove_run(self) -> None:
        """Delete a run, its proof first. The ledger stays: what it counted stays counted.

        Raises:
            CannotWrite
        """
        try:
            self.proof.unlink(missing_ok=True)
            self.statement.unlink(missing_ok=True)
            sync_folder(self.path)
            for file in self.secret.glob(f"*{SUFFIX}"):
                file.unlink()
            self.report.unlink(missing_ok=True)
            sync_folder(self.secret)
        except OSError as error:
            raise CannotWrite(self.path, f"cannot be cleared: {error.strerror}") from error

    def write_run(
        self,
        parameters: bytes,
        *,
        statement: bytes,
        proof: bytes,
        secrets: Mapping[str, tuple[Kind, bytes]],
        report: bytes,
        previous: RunFolder | None = None,
    ) -> None:
        """Replace what is here by a new run. All of it is on disk before the old run is touched.

        `secrets` are payloads by name. `previous` is the block before: blocks of one chain open the
        same commitments, so from now on both folders name one ledger. The proof comes last: where
        it stands, all the rest does.

        Raises:
            CannotWrite: the disk is full or not writable, or the two folders do not lie on one
                file system with hard links; the old run is still whole
        """
        with Staging() as staging:
            if previous is not None:
                staging.add_link(self.ledger.path, previous.ledger.path)
            for name, (kind, payload) in secrets.items():
                if not kind.secret:
                    raise ValueError(f"a {kind.title} is public")
                staging.add(self.secret_file(name), encode(kind, parameters, payload), mode=SECRET_MODE)
            staging.add(self.report, report, mode=SECRET_MODE)
            staging.add(self.statement, encode(Kind.STATEMENT, parameters, statement))
            staging.add(self.proof, encode(Kind.PROOF, parameters, proof))
            self.remove_run()
            staging.put_in_place()

    def read_statement(self, *, parameters: bytes | None = None, max_payload: int) -> Artefact:
        self._check_finished()
        return read(self.statement, kind=Kind.STATEMENT, parameters=parameters, max_payload=max_payload)

    def read_proof(self, *, parameters: bytes | None = None, max_payload: int) -> Artefact:
        self._check_finished()
        return read(self.proof, kind=Kind.PROOF, parameters=parameters, max_payload=max_payload)

    def read_secret(self, name: str, kind: Kind, *, max_payload: int) -> Artefact:
        self._check_exists()
        return read(self.secret_file(name), kind=kind, max_payload=max_payload)

    def _check_finished(self) -> None:
        """A process that died, of a signal or for want of memory, leaves its folder, and in it no run."""
        self._check_exists()
        if self.secret.is_dir() and not self.holds_a_run():
            raise MissingFile(
                self.statement, "there is no such file: a run was begun in this folder and did not finish; prove again"
            )

    def _check_exists(self) -> None:
        if self.path.is_file():
            raise MissingFile(self.path, "is a file, expected the folder of a run, which holds statement and proof")
        if not self.path.is_dir():
            raise MissingFile(self.path, "there is no such folder")
