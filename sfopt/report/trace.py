"""`trace.json`: the run's engines as tracks, in the Chrome trace event format, which Perfetto opens."""

import json
from collections.abc import Sequence

from sfopt.backend import Event
from sfopt.device import Device

__all__ = ["trace_json"]


def trace_json(events: Sequence[Event], device: Device) -> str:
    """Complete events ("ph": "X"), one thread per engine, times in microseconds at the device's clock."""
    engines = {name: i for i, name in enumerate(dict.fromkeys(e.engine for e in events))}
    names = [
        {"ph": "M", "name": "thread_name", "pid": 0, "tid": i, "args": {"name": name}} for name, i in engines.items()
    ]
    scale = 1e6 / device.clock_hz
    slices = [
        {
            "ph": "X",
            "name": e.name,
            "pid": 0,
            "tid": engines[e.engine],
            "ts": round(e.start_cycle * scale, 4),
            "dur": round((e.end_cycle - e.start_cycle) * scale, 4),
            "args": {"start_cycle": e.start_cycle, "end_cycle": e.end_cycle, "dram_bytes": e.dram_bytes},
        }
        for e in events
    ]
    return json.dumps({"displayTimeUnit": "ns", "traceEvents": [*names, *slices]})
