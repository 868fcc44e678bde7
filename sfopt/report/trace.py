"""`trace.json`: the engines of each run as tracks, in the Chrome trace event format, which Perfetto opens.

A run is a process, an engine a thread of it, an instruction a complete event. Times are whole nanoseconds, written in
microseconds as the format asks: both ends of a slice are rounded by the same rule, so that neighbours never overlap.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sfopt.backend import Event
from sfopt.device import Device

__all__ = ["trace_json"]

ENGINES = ("load", "compute", "store")
"""From top to bottom; others come behind them."""
NANOSECONDS = 10**9


def trace_json(runs: Mapping[str, Sequence[Event]], device: Device) -> str:
    """Name of a run -> its events, at the device's clock, as the text of a trace file."""
    tracks = list(dict.fromkeys([*ENGINES, *(e.engine for events in runs.values() for e in events)]))
    records = [
        record
        for pid, (name, events) in enumerate(runs.items(), 1)
        for record in _run(pid, name, events, tracks, device)
    ]
    content = {"displayTimeUnit": "ns", "otherData": {"device": device.name, "clock_hz": device.clock_hz}}
    return json.dumps({**content, "traceEvents": records}, separators=(",", ":"))


def _run(
    pid: int, name: str, events: Sequence[Event], tracks: Sequence[str], device: Device
) -> Iterator[dict[str, Any]]:
    yield _named("process_name", pid, 0, name=name)
    yield _named("process_sort_index", pid, 0, sort_index=pid)
    for engine in dict.fromkeys([*ENGINES, *(e.engine for e in events)]):
        tid = tracks.index(engine) + 1
        yield _named("thread_name", pid, tid, name=engine)
        yield _named("thread_sort_index", pid, tid, sort_index=tid)
    for event in sorted(events, key=lambda e: (e.start_cycle, tracks.index(e.engine))):
        start, end = (_nanoseconds(cycle, device) for cycle in (event.start_cycle, event.end_cycle))
        yield {
            "ph": "X",
            "name": event.name,
            "cat": event.engine,
            "pid": pid,
            "tid": tracks.index(event.engine) + 1,
            "ts": start / 1000,
            "dur": (end - start) / 1000,
            "args": _facts(event),
        }


def _named(what: str, pid: int, tid: int, **args: str | int) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": pid, "tid": tid, "args": args}


def _facts(event: Event) -> dict[str, Any]:
    """What a viewer shows of a slice that is clicked at; rows and channels from and up to."""
    facts = {
        "group": event.group,
        "rows": None if event.rows is None else f"{event.rows[0]}:{event.rows[1]}",
        "channels": None if event.channels is None else f"{event.channels[0]}:{event.channels[1]}",
        "dram_bytes": event.dram_bytes,
        "instruction": event.instruction,
        "start_cycle": event.start_cycle,
        "end_cycle": event.end_cycle,
    }
    return {key: value for key, value in facts.items() if value is not None}


def _nanoseconds(cycle: int, device: Device) -> int:
    return round(cycle * NANOSECONDS / device.clock_hz)
