"""Running a whole network: the host's head, the compiled part with host groups in the middle of it, the host's tail."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sfopt.backend import Compiled, Execution
from sfopt.errors import UsageError
from sfopt.graph import Graph
from sfopt.groups import Network
from sfopt.host import run_host_ops

__all__ = [
    "HostGroups",
    "accelerator_inputs",
    "channels_first",
    "channels_last",
    "dense_inputs",
    "network_outputs",
    "random_feeds",
    "run_network",
]

Arrays = Mapping[str, npt.NDArray[np.generic]]


def random_feeds(graph: Graph, seed: int) -> dict[str, npt.NDArray[np.generic]]:
    """One seeded sample per graph input: uniform in [0, 1) for float32, the whole range for int8."""
    rng = np.random.default_rng(seed)
    feeds: dict[str, npt.NDArray[np.generic]] = {}
    for name in graph.inputs:
        tensor = graph.tensor(name)
        if tensor.dtype == "int8":
            feeds[name] = rng.integers(-128, 128, tensor.shape, dtype=np.int8)
        else:
            feeds[name] = rng.random(tensor.shape).astype(tensor.dtype)
    return feeds


def accelerator_inputs(network: Network, feeds: Arrays) -> dict[str, npt.NDArray[np.generic]]:
    """Run the head on the network's inputs; returns the int8 maps that the accelerator starts from, and what host groups need."""
    values = {**feeds, **_run(network, network.head, feeds)}
    wanted = dict.fromkeys((*network.inputs, *network.host_inputs))
    missing = [name for name in wanted if name not in values]
    if missing:
        raise UsageError(f"input `{missing[0]}` was not given")
    return {name: np.asarray(values[name], dtype=network.graph.tensor(name).dtype) for name in wanted}


def network_outputs(network: Network, feeds: Arrays, execution: Execution) -> dict[str, npt.NDArray[np.generic]]:
    """Run the tail on what the accelerator produced; returns the graph's own outputs."""
    known: dict[str, npt.NDArray[np.generic]] = {**feeds, **execution.host_tensors, **execution.tensors}
    ops = [network.graph.ops_by_name[name] for name in network.tail]
    wanted = {*network.graph.outputs, *(n for op in ops for n in op.inputs)}
    if any(n in wanted for name in network.head for n in network.graph.ops_by_name[name].outputs):
        known = {**_run(network, network.head, feeds), **known}
    values = {**known, **_run(network, network.tail, known)}
    return {name: values[name] for name in network.graph.outputs}


def run_network(
    network: Network, compiled: Compiled, feeds: Arrays, *, expose: bool = False
) -> tuple[Execution, dict[str, npt.NDArray[np.generic]]]:
    """Head, accelerator, tail. Feeds and outputs are in graph layout, keyed by the graph's input and output names."""
    execution = compiled.run(accelerator_inputs(network, feeds), expose=expose)
    return execution, network_outputs(network, feeds, execution)


def _run(network: Network, names: Sequence[str], feeds: Arrays) -> dict[str, npt.NDArray[np.generic]]:
    if not names:
        return {}
    ops = [network.graph.ops_by_name[name] for name in names]
    return dict(run_host_ops(network.graph, ops, feeds))


class HostGroups:
    """The host groups of one run of a compiled network: what they compute stays here, in whatever type it has, under `values`."""

    def __init__(self, network: Network, inputs: Arrays) -> None:
        """`inputs` are those of `Compiled.run`."""
        self.network = network
        self.inputs = inputs
        self.values: dict[str, npt.NDArray[np.generic]] = {}

    def run(self, name: str, maps: Mapping[str, npt.NDArray[np.int8]]) -> dict[str, npt.NDArray[np.int8]]:
        """Run group `name` on the maps that it reads; returns those that it writes. Int8, (1, C, H, W)."""
        group = next(g for g in self.network.groups if g.name == name)
        ops = [self.network.graph.ops_by_name[op] for op in group.host_ops]
        self.values.update(run_host_ops(self.network.graph, ops, {**self.inputs, **self.values, **maps}))
        return {name: np.asarray(self.values[name], np.int8) for name in group.host_outputs}


def dense_inputs(network: Network, inputs: Arrays) -> dict[str, npt.NDArray[np.int8]]:
    """The maps that a compiled network starts from as they lie in DRAM, (H, W, C), from what `Compiled.run` gets.

    Raises UsageError naming an input that is missing, or of another type or shape than int8 (1, C, H, W).
    """
    found = {}
    for name in network.inputs:
        fmap = network.maps[name]
        shape = (1, fmap.channels, fmap.height, fmap.width)
        if name not in inputs:
            raise UsageError(f"input `{name}` was not given; given: {', '.join(sorted(inputs)) or 'none'}")
        value = np.asarray(inputs[name])
        if value.dtype != np.int8 or value.shape != shape:
            raise UsageError(f"input `{name}` is {value.dtype}{value.shape}, needs int8{shape}")
        found[name] = channels_last(value.astype(np.int8))
    return found


def channels_last(value: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """(1, C, H, W) -> (H, W, C), as maps lie in DRAM."""
    return np.ascontiguousarray(value[0].transpose(1, 2, 0))


def channels_first(value: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """(H, W, C) -> (1, C, H, W), as `Execution.tensors` has them."""
    return np.ascontiguousarray(value.transpose(2, 0, 1)[np.newaxis])
