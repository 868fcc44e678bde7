"""Networks with their input and reference, to run plans on: no fault, the right numbers in every tensor, the promised bytes."""

from collections import Counter

import numpy as np

import sfopt_ort
from sfopt.device import Device
from sfopt.groups import Kind, Network
from sfopt.host import run_host_ops
from sfopt.plan import Plan, WeightMode
from sfopt.testing.naive_plan import Choice, can_be_resident
from sfopt_fpga.emit import emit
from sfopt_fpga.program import HostCall, Program
from sfopt_fpga.simulator import SimulationResult, simulate

__all__ = ["DEVICE", "Case", "moved_bytes", "promised_bytes", "random_choice", "residencies"]

DEVICE = Device("small", "for tests", 8, 8, 10**8, 1 << 11, 256, 64, 10**9, 20, 16)


def residencies(network: Network, seed: int = 0) -> list[frozenset[str]]:
    """Nothing, everything that may be, and a random half of it."""
    maps = [t for t in network.maps if can_be_resident(network, t)]
    r = np.random.default_rng(seed)
    return [frozenset(), frozenset(maps), frozenset(t for t in maps if r.random() < 0.5)]


def random_choice(network: Network, r: np.random.Generator) -> Choice:
    """Residents, some of them ending at any of their readers, a band height, and the switches."""
    share = r.choice([0.0, 0.2, 0.5, 1.0])
    kept = [t for t in network.maps if can_be_resident(network, t) and r.random() < share]
    return Choice(
        resident=frozenset(kept),
        ends={t: int(r.choice(network.readers[t])) for t in kept if r.random() < 0.5},
        band_rows=(None, 1, 1, 2, 3)[r.integers(5)],
        weights=(WeightMode.RESIDENT, WeightMode.REREAD, WeightMode.INPUT_REREAD)[max(0, int(r.integers(-2, 3)))],
        channel_tile=int(r.integers(3, 5)),
        kept=frozenset(g.index for g in network.groups if r.random() < 0.5),
        overlap=bool(r.integers(2)),
        early=bool(r.integers(2)),
    )


def random_inputs(network: Network, seed: int = 0) -> dict[str, np.ndarray]:
    r = np.random.default_rng(seed)
    return {n: r.integers(-128, 128, network.graph.tensor(n).shape, dtype=np.int8) for n in network.inputs}


def hwc(array: np.ndarray) -> np.ndarray:
    return array[0].transpose(1, 2, 0)


class Case:
    """A network, its input and what ONNX Runtime makes of it."""

    def __init__(self, network: Network, seed: int = 0) -> None:
        self.network = network
        self.inputs = random_inputs(network, seed)
        made = [t for t in network.maps if t not in network.inputs]
        self.expected = sfopt_ort.run(sfopt_ort.accelerator_part(network), self.inputs, made)

    def host(self, call: HostCall, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        graph = self.network.graph
        group = next(g for g in self.network.groups if g.name == call.label)
        feeds = {n: v.transpose(2, 0, 1)[None] for n, v in given.items()}
        values = run_host_ops(graph, [graph.ops_by_name[n] for n in group.host_ops], feeds)
        return {p.tensor: hwc(values[p.tensor]) for p in call.writes}

    def simulate(self, program: Program) -> SimulationResult:
        return simulate(program, {n: hwc(v) for n, v in self.inputs.items()}, self.host, capture=True)

    def differing(self, result: SimulationResult) -> list[str]:
        """Tensors that are not what they must be."""
        made = [g.output for g in self.network.groups if g.kind is not Kind.HOST]
        wrong = [t for t in made if not np.array_equal(result.tensors[t], hwc(self.expected[t]))]
        return wrong + [t for t, v in result.outputs.items() if not np.array_equal(v, hwc(self.expected[t]))]

    def check(self, plan: Plan, device: Device = DEVICE) -> Program:
        program = emit(plan, self.network, device)
        result = self.simulate(program)
        assert self.differing(result) == []
        assert moved_bytes(result) == promised_bytes(plan)
        return program

    def check_exposed(self, plan: Plan) -> None:
        """The build that stores every map: all are right in DRAM, and nothing but their stores is moved beyond the plan's bytes."""
        result = self.simulate(emit(plan, self.network, DEVICE, expose=True))
        assert result.outputs.keys() == self.network.maps.keys() - set(self.network.inputs)
        assert self.differing(result) == []
        stores = {(t, "write"): self.network.maps[t].size_bytes for t in result.outputs}
        assert moved_bytes(result) == promised_bytes(plan) | stores


def promised_bytes(plan: Plan) -> dict[tuple[str, str], int]:
    promised = Counter[tuple[str, str]]()
    for transfer in plan.transfers:
        promised[transfer.tensor, transfer.direction] += transfer.size_bytes
    return dict(promised)


def moved_bytes(result: SimulationResult) -> dict[tuple[str, str], int]:
    tables = (("read", result.reads), ("write", result.writes))
    return {(name, direction): size for direction, table in tables for name, size in table.items() if size}
