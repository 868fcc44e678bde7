"""Running an integer graph in ONNX Runtime, every int8 tensor in view: the oracle that all other backends are compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import onnxruntime

from sfopt.backend import Execution
from sfopt.device import Device
from sfopt.execute import dense_inputs
from sfopt.graph import Graph
from sfopt.groups import Network
from sfopt.host import open_session, run_model, run_session
from sfopt.plan import Plan
from sfopt_ort.export import model_bytes

__all__ = ["OrtBackend", "OrtModel", "accelerator_part", "integer_tensors", "run"]

MODEL_FILE = "model.int8.onnx"


def integer_tensors(graph: Graph) -> tuple[str, ...]:
    """Names of what the integer operators of `graph` write, in order."""
    return tuple(op.output for op in graph.ops if graph.is_integer(op))


def run(
    graph: Graph, inputs: Mapping[str, npt.NDArray[np.generic]], outputs: Sequence[str] | None = None
) -> dict[str, npt.NDArray[np.generic]]:
    """Run integer `graph` and return `outputs`, by default the graph's own and every int8 tensor that it computes.

    Int8 tensors are kept whole (one byte per element); what a look-up computes in float is freed as the run goes.
    """
    if outputs is None:
        outputs = tuple(dict.fromkeys((*graph.outputs, *integer_tensors(graph))))
    exposed = graph.with_ops(graph.ops, outputs=outputs)
    return run_model(model_bytes(exposed), inputs, list(outputs))


def accelerator_part(network: Network) -> Graph:
    """The graph between the first and the last int8 feature map, without the host's head and tail."""
    ends = {*network.head, *network.tail}
    ops = [op for op in network.graph.ops if op.name not in ends]
    inputs = tuple(dict.fromkeys((*network.inputs, *network.host_inputs)))
    return network.graph.with_ops(ops, inputs=inputs, outputs=(*network.outputs, *_others(network, network.outputs)))


def _others(network: Network, names: Sequence[str]) -> tuple[str, ...]:
    """`Network.host_results` that are not among `names`."""
    return tuple(n for n in network.host_results if n not in names)


@dataclass(frozen=True, eq=False)
class OrtModel:
    """A network as an ONNX model; `plan` and device do not matter to ONNX Runtime."""

    network: Network

    @property
    def program_bytes(self) -> int:
        """ONNX Runtime has no instructions to fetch."""
        return 0

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """The whole network, from float inputs to float outputs."""
        return {MODEL_FILE: model_bytes(self.network.graph)}

    def run(self, inputs: Mapping[str, npt.NDArray[np.generic]], *, expose: bool = True) -> Execution:
        """Run on int8 inputs by network input name; with `expose`, every int8 tensor comes back.

        Raises UsageError for inputs that do not fit.
        """
        dense_inputs(self.network, inputs)
        model = self._exposed if expose else self._plain
        found = run_session(model.session, inputs, (*model.maps, *model.others))
        return Execution(
            {name: np.asarray(found[name], np.int8) for name in model.maps},
            host_tensors={name: found[name] for name in model.others},
        )

    @cached_property
    def _plain(self) -> "_Opened":
        return _open(self.network, self.network.outputs)

    @cached_property
    def _exposed(self) -> "_Opened":
        inner = integer_tensors(accelerator_part(self.network))
        return _open(self.network, (*self.network.outputs, *inner, *(n for g in self.network.groups for n in g.writes)))


@dataclass(frozen=True, eq=False)
class _Opened:
    """A session, and what it returns: int8 feature maps, and results of host operators of any type."""

    session: onnxruntime.InferenceSession
    maps: tuple[str, ...]
    others: tuple[str, ...]


def _open(network: Network, maps: Sequence[str]) -> _Opened:
    graph, names, others = accelerator_part(network), tuple(dict.fromkeys(maps)), _others(network, maps)
    exposed = graph.with_ops(graph.ops, outputs=(*names, *others))
    return _Opened(open_session(model_bytes(exposed)), names, others)


class OrtBackend:
    """ONNX Runtime as a backend: no instructions, no traffic, only the right answer."""

    name = "ort"
    description = "ONNX Runtime on the CPU: the reference answer, bit for bit"

    def compile(self, network: Network, plan: Plan, device: Device) -> OrtModel:
        """The network as an ONNX model."""
        del plan, device
        return OrtModel(network)
