"""Runs program files with damage, in a process whose memory is limited: `python damaged_programs.py FIRST COUNT`.

The checksum fits the damage, so that loader and simulator have to find it. Prints each seed before it is tried, so that a crash
names it, and at the end a count of what came out.
"""

import hashlib
import json
import resource
import sys
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from random_models import random_model

from sfopt.device import load_device
from sfopt.errors import ProgramError, SimulationFault, UsageError
from sfopt.execute import accelerator_inputs, random_feeds
from sfopt.pipeline import Options, optimize
from sfopt_fpga.isa import FORMATS, decode, encode
from sfopt_fpga.program import Program
from sfopt_fpga.simulator import simulate

MEMORY_LIMIT_BYTES = 6 << 30
HEADER_BYTES = 88
MODELS = tuple(seed for seed in range(40) if not random_model(seed).host)[:6]
"""Seeds of random models without operators on the host."""

Random = np.random.Generator
Inputs = dict[str, npt.NDArray[np.int8]]


@cache
def sound(seed: int) -> tuple[bytes, Inputs]:
    """A program file that is right, and what it runs on."""
    device = load_device("sim8").with_sram(32 << 10)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(random_model(seed).data)
        result = optimize(path, Options(device, method="greedy-size", verify=False))
    network = result.imported.network
    given = accelerator_inputs(network, random_feeds(network.graph, 0))
    inputs = {name: np.ascontiguousarray(given[name][0].transpose(1, 2, 0)).astype(np.int8) for name in network.inputs}
    return result.compiled.files["program.sfp"], inputs


def damaged(data: bytes, seed: int) -> bytes:
    """One to three damages to one part of the file, and a checksum that fits."""
    r = np.random.default_rng([seed, 11])
    sizes = [int(n) for n in np.frombuffer(data[12:24], "<u4")]
    a, b = HEADER_BYTES + sizes[0], HEADER_BYTES + sizes[0] + sizes[1]
    header, maps, words, constants = (
        bytearray(data[:HEADER_BYTES]),
        data[HEADER_BYTES:a],
        data[a:b],
        bytearray(data[b:]),
    )
    for _ in range(int(r.integers(1, 4))):
        match int(r.integers(8)):
            case 0:
                header[int(r.integers(8, 56))] = int(r.integers(256))
            case 1 | 2:
                maps = _map(maps, r)
                header[12:16] = len(maps).to_bytes(4, "little")
            case 3:
                constants[int(r.integers(len(constants)))] = int(r.integers(256))
            case _:
                words = _word(words, r)
                header[16:20] = len(words).to_bytes(4, "little")
    rest = maps + words + bytes(constants)
    return bytes(header[:56]) + hashlib.sha256(bytes(header[:56]) + rest).digest() + rest


def _word(words: bytes, r: Random) -> bytes:
    """A field that is 0, all ones or anything; a bit; an instruction away, twice or elsewhere."""
    at = 32 * int(r.integers(len(words) // 32))
    word = words[at : at + 32]
    try:
        opcode, fields = decode(word)
    except ProgramError:
        return words
    match int(r.integers(6)):
        case 0:
            return words[:at] + words[at + 32 :]
        case 1:
            other = 32 * int(r.integers(len(words) // 32 + 1))
            return words[:other] + word + words[other:]
        case 2:
            bit = 1 << int(r.integers(256))
            word = (int.from_bytes(word, "little") ^ bit).to_bytes(32, "little")
        case _ if FORMATS[opcode].fields:
            field = FORMATS[opcode].fields[int(r.integers(len(FORMATS[opcode].fields)))]
            most = (1 << (field.bits - field.signed)) - 1
            fields[field.name] = int(r.choice([0, 1, most, int(r.integers(0, most + 1))]))
            word = encode(opcode, fields)
    return words[:at] + word + words[at + 32 :]


def _map(maps: bytes, r: Random) -> bytes:
    """An entry that is of another type, huge, negative, or not there."""
    try:
        content: Any = json.loads(maps)
    except ValueError:
        return maps
    place = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return maps
        key = keys[int(r.integers(len(keys)))]
        if not isinstance(place[key], dict | list) or not place[key] or r.random() < 0.05:
            break
        place = place[key]
    odd = (0, -1, 1, 7, 1 << 20, (1 << 32) - 1, 1 << 32, 1 << 62, 1.5, True, None, "x", [], {})
    if r.random() < 0.1:
        del place[key]
    else:
        place[key] = odd[int(r.integers(len(odd)))]
    return json.dumps(content).encode()


def _fitting(content: bytes, inputs: Inputs) -> Inputs:
    """The inputs, in the shapes that the file asks for where that is no more than they have."""
    ports = {p.tensor: (p.height, p.width, p.channels) for p in Program.from_bytes(content).inputs}
    every = np.concatenate([value.reshape(-1) for value in inputs.values()])
    return {
        n: every[: int(np.prod(shape))].reshape(shape) for n, shape in ports.items() if np.prod(shape) <= every.size
    }


def attempt(seed: int) -> str:
    """What becomes of a damaged file."""
    data, inputs = sound(MODELS[seed % len(MODELS)])
    wanted = simulate(data, inputs)
    content = damaged(data, seed)
    try:
        result = simulate(content, _fitting(content, inputs), capture=True)
    except (ProgramError, SimulationFault, UsageError) as error:
        if "\n" in str(error):
            raise ValueError(f"several lines: {error}") from None
        return type(error).__name__
    same = all(np.array_equal(result.outputs.get(n), value) for n, value in wanted.outputs.items())
    return "same outputs" if same else "other outputs"


def main() -> None:
    """Try them all."""
    first, count = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    outcomes = Counter[str]()
    for seed in range(first, first + count):
        print("seed", seed, flush=True)  # noqa: T201
        outcomes[attempt(seed)] += 1
    print(dict(outcomes))  # noqa: T201


if __name__ == "__main__":
    main()
