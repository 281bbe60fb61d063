"""The folder of one proved block: what may be published, and apart from it what may not.

    DIR/statement.zkjax          public: circuit, digests of commitments, public outputs
    DIR/proof.zkjax              public
    DIR/secret/                  mode 0700: openings of commitments, the state after the block,
                                 the ledger of openings, the report of the run

Publishing a run is copying `DIR` without `DIR/secret`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zkjax.files.artefact import Artefact, Kind, read, write
from zkjax.files.atomic import SECRET_MODE, remove_partial, sync_folder, write_whole
from zkjax.files.errors import CannotWrite, MissingFile
from zkjax.files.ledger import Ledger

SUFFIX = ".zkjax"


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

        Raises:
            CannotWrite: it cannot be created or written, or another process is writing to it
        """
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
            yield self
        finally:
            os.close(descriptor)

    def remove_public_part(self) -> None:
        """Delete proof and statement, so that a new one never stands beside an old one.

        Raises:
            CannotWrite
        """
        try:
            self.proof.unlink(missing_ok=True)
            self.statement.unlink(missing_ok=True)
            sync_folder(self.path)
        except OSError as error:
            raise CannotWrite(self.path, f"cannot be cleared: {error.strerror}") from error

    def write_public(self, parameters: bytes, statement: bytes, proof: bytes) -> None:
        """The statement and then the proof, each whole; a failure leaves neither.

        Raises:
            CannotWrite
        """
        self.remove_public_part()
        try:
            write(self.statement, Kind.STATEMENT, parameters, statement)
            write(self.proof, Kind.PROOF, parameters, proof)
        except BaseException:
            self.remove_public_part()
            raise

    def write_secret(self, name: str, kind: Kind, parameters: bytes, payload: bytes) -> Path:
        """A secret artefact under `DIR/secret`, mode 0600.

        Raises:
            CannotWrite
        """
        if not kind.secret:
            raise ValueError(f"a {kind.title} is public")
        path = self.secret_file(name)
        write(path, kind, parameters, payload)
        return path

    def write_report(self, content: bytes) -> None:
        write_whole(self.report, content, mode=SECRET_MODE)

    def read_statement(self, *, parameters: bytes | None = None, max_payload: int) -> Artefact:
        self._check_exists()
        return read(self.statement, kind=Kind.STATEMENT, parameters=parameters, max_payload=max_payload)

    def read_proof(self, *, parameters: bytes | None = None, max_payload: int) -> Artefact:
        self._check_exists()
        return read(self.proof, kind=Kind.PROOF, parameters=parameters, max_payload=max_payload)

    def read_secret(self, name: str, kind: Kind, *, max_payload: int) -> Artefact:
        self._check_exists()
        return read(self.secret_file(name), kind=kind, max_payload=max_payload)

    def _check_exists(self) -> None:
        if not self.path.is_dir():
            raise MissingFile(self.path, "there is no such folder")
