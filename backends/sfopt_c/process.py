"""Talking to a compiled model: inputs in, records out (`harness.c` says which)."""

import struct
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from sfopt.errors import SimulationFault
from sfopt.groups import FeatureMap

__all__ = ["Records", "run_program"]

Int8Array = npt.NDArray[np.int8]
HostFunction = Callable[[int], None]
_END, _ROW, _OUTPUT, _HOST, _COUNT = range(5)
DIRECTIONS = ("read", "write")


@dataclass
class Records:
    """What one run said. Arrays are (height, width, channels)."""

    rows: dict[str, Int8Array] = field(default_factory=dict)
    outputs: dict[str, Int8Array] = field(default_factory=dict)
    bytes_moved: dict[tuple[int, str], int] = field(default_factory=dict)
    """(number of the counter, "read" or "write") -> bytes."""


Host = Callable[[int, Mapping[str, Int8Array]], Mapping[str, Int8Array]]
"""Runs a host group by its number."""


def run_program(
    program: Path,
    inputs: Sequence[Int8Array],
    maps: Sequence[FeatureMap],
    outputs: Sequence[str],
    hosts: Sequence[tuple[Sequence[str], Sequence[str]]],
    host: Host,
    *,
    expose: bool,
) -> Records:
    """Run a program that `toolchain.build` made. `hosts` are the maps that each host group reads and writes.

    Raises SimulationFault when it stops before its end.
    """
    with tempfile.TemporaryFile() as complaints:
        command = [str(program), *(["all"] if expose else [])]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            talk = _Talk(process.stdout, process.stdin, {m.name: m for m in maps}, outputs, hosts, host)
            try:
                records = talk.run(inputs)
            except (BrokenPipeError, EOFError):
                records = None
            finally:
                _close(process.stdin)
        if records is None or process.returncode != 0:
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").split("\n")
            reason = next((line.strip() for line in said if line.strip()), "no message")
            raise SimulationFault(f"the compiled model ended with status {process.returncode}: {reason}")
    return records


def _close(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except BrokenPipeError:
        return


class _Talk:
    def __init__(
        self,
        source: IO[bytes],
        sink: IO[bytes],
        maps: Mapping[str, FeatureMap],
        outputs: Sequence[str],
        hosts: Sequence[tuple[Sequence[str], Sequence[str]]],
        host: Host,
    ) -> None:
        self.source, self.sink = source, sink
        self.maps, self.names = maps, tuple(maps)
        self.outputs, self.hosts, self.host = outputs, hosts, host
        self.records = Records()

    def run(self, inputs: Sequence[Int8Array]) -> Records:
        """Everything from the inputs to the end. Raises EOFError or BrokenPipeError when the program is gone."""
        self._give(inputs)
        while (kind := self._numbers(1)[0]) != _END:
            {_ROW: self._row, _OUTPUT: self._output, _HOST: self._host, _COUNT: self._count}[kind]()
        return self.records

    def _row(self) -> None:
        number, row, column, step, columns, channel, channels = self._numbers(7)
        fmap = self.maps[self.names[number]]
        shape = (fmap.height, fmap.width, fmap.channels)
        array = self.records.rows.setdefault(fmap.name, np.zeros(shape, np.int8))
        place = array[row, column::step][:columns]
        place[:, channel : channel + channels] = self._array((columns, channels))

    def _output(self) -> None:
        name = self.outputs[self._numbers(1)[0]]
        self.records.outputs[name] = self._map(name)

    def _host(self) -> None:
        (number,) = self._numbers(1)
        reads, writes = self.hosts[number]
        made = self.host(number, {name: self._map(name) for name in reads})
        self._give([made[name] for name in writes])

    def _count(self) -> None:
        number, direction, low, high = self._numbers(4)
        self.records.bytes_moved[number, DIRECTIONS[direction]] = low + (high << 31)

    def _map(self, name: str) -> Int8Array:
        fmap = self.maps[name]
        return self._array((fmap.height, fmap.width, fmap.channels))

    def _give(self, arrays: Sequence[Int8Array]) -> None:
        for array in arrays:
            self.sink.write(np.ascontiguousarray(array).tobytes())
        self.sink.flush()

    def _numbers(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f"={count}i", self._bytes(4 * count))

    def _array(self, shape: tuple[int, ...]) -> Int8Array:
        return np.frombuffer(self._bytes(int(np.prod(shape))), np.int8).reshape(shape)

    def _bytes(self, size: int) -> bytes:
        data = self.source.read(size)
        if len(data) != size:
            raise EOFError
        return data
