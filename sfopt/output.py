"""The output directory: complete or untouched."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sfopt.errors import OutputError

__all__ = ["OutputDirectory", "output_directory", "write_file"]


class OutputDirectory:
    """A staging directory on the target's file system; `publish` moves its files into place, one atomic rename each."""

    def __init__(self, target: Path, staging: Path) -> None:
        self.target = target
        self.staging = staging

    def publish(self, files: Mapping[str, bytes]) -> None:
        """Write all files to staging, then move them. Raises OutputError naming the path when the disk refuses."""
        try:
            for name, content in files.items():
                (self.staging / name).write_bytes(content)
            self.target.mkdir(parents=True, exist_ok=True)
            for name in files:
                (self.staging / name).replace(self.target / name)
        except OSError as error:
            raise OutputError(f"cannot write `{self.target}`: {error.strerror}") from None


@contextmanager
def output_directory(target: Path) -> Iterator[OutputDirectory]:
    """Open `target` for writing, before any work is done, so that an unwritable place costs no time. Leaves nothing behind."""
    try:
        if target.exists() and not target.is_dir():
            raise OutputError(f"cannot write `{target}`: not a directory")
        if target.exists() and not os.access(target, os.W_OK):
            raise OutputError(f"cannot write `{target}`: Permission denied")
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=_existing_folder(target)))
    except OSError as error:
        raise OutputError(f"cannot write `{target}`: {error.strerror}") from None
    try:
        yield OutputDirectory(target, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _existing_folder(target: Path) -> Path:
    """`target` or the closest folder above it that is there, on whose file system the target is or will be.

    Missing ones are made only when there is something to put into them.
    """
    return next(folder for folder in (target.absolute(), *target.absolute().parents) if folder.exists())


def write_file(target: Path, content: bytes) -> None:
    """Write one file, whole or not at all. Raises OutputError naming the path."""
    try:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        handle, staging = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.absolute().parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(staging).replace(target)
    except OSError as error:
        raise OutputError(f"cannot write `{target}`: {error.strerror}") from None
