"""Running a whole network: the host's head, the compiled part, the host's tail."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sfopt.backend import Compiled, Execution
from sfopt.errors import UsageError
from sfopt.graph import Graph
from sfopt.groups import Network
from sfopt.host import run_host_ops

__all__ = ["accelerator_inputs", "network_outputs", "random_feeds", "run_network"]

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
