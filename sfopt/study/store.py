"""Outcomes that are kept: one SQLite file, one transaction a point, so that a kill costs what was running and nothing else."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, fields
from pathlib import Path
from typing import Self

from sfopt import __version__
from sfopt.errors import OutputError
from sfopt.plan import Status
from sfopt.study.points import FAILED, Outcome, Point

__all__ = ["Store"]

_KEY = ("network", "device", "sram_bytes", "method", "objective", "version")
_FOUND = tuple(f.name for f in fields(Outcome))
_CREATE = f"""
CREATE TABLE IF NOT EXISTS points (
    network TEXT, device TEXT, sram_bytes INTEGER, method TEXT, objective TEXT, version TEXT,
    time_limit_s REAL NOT NULL,
    status TEXT NOT NULL, traffic INTEGER, bound INTEGER, feature_map_bytes INTEGER, shortcut_bytes INTEGER,
    weights_bytes INTEGER, cycles INTEGER, peak INTEGER, seconds REAL, error TEXT,
    PRIMARY KEY ({", ".join(_KEY)})
)"""
_COLUMNS = (*_KEY, "time_limit_s", *_FOUND)
_PUT = f"INSERT OR REPLACE INTO points ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_GET = f"SELECT time_limit_s, {', '.join(_FOUND)} FROM points WHERE {' AND '.join(f'{name} = ?' for name in _KEY)}"


class Store:
    """A context: points -> outcomes. `path` None keeps them in memory. Raises OutputError if it cannot be used."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        with self._errors():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(":memory:" if path is None else path)
            self._connection.execute(_CREATE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def put(self, point: Point, outcome: Outcome) -> None:
        """Keep an outcome; it is on the disk when this returns."""
        with self._errors(), self._connection:
            self._connection.execute(_PUT, (*point.key, __version__, point.time_limit_s, *astuple(outcome)))

    def get(self, point: Point) -> Outcome | None:
        """What is known about a point, unless another attempt could do better.

        That is so for a point that failed, and for one that was neither proven nor given as much time as is offered now.
        """
        with self._errors():
            found = self._connection.execute(_GET, (*point.key, __version__)).fetchone()
        if found is None:
            return None
        outcome = Outcome(*found[1:])
        final = outcome.status == Status.OPTIMAL or found[0] >= point.time_limit_s
        return outcome if final and outcome.status != FAILED else None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OutputError(f"cannot use `{self.path}`: {error}") from None
        except OSError as error:
            raise OutputError(f"cannot write `{self.path}`: {error.strerror}") from None
