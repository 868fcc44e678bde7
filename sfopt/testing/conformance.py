"""What every backend has to keep to, as a pytest class: name yours in a subclass and run it.

    from sfopt.testing import BackendConformance

    class TestMyBackend(BackendConformance):
        backend = "mine"

The networks are small, the plans made by hand: together they have every kind of group and every form of plan (`cases.FORMS`).
"""

from collections.abc import Mapping
from functools import cache
from pathlib import PurePath

import numpy as np
import numpy.typing as npt
import pytest

from sfopt.backend import Backend, Compiled, Execution, load_backend
from sfopt.equivalence import compare, require_equal
from sfopt.errors import EquivalenceError, SfoptError
from sfopt.execute import accelerator_inputs, random_feeds
from sfopt.pipeline import REFERENCE_BACKEND
from sfopt.testing.cases import CASES, Case
from sfopt.traffic import bytes_per_tensor, tally

__all__ = ["BackendConformance"]

Arrays = Mapping[str, npt.NDArray[np.generic]]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


class BackendConformance:
    """Subclass it, set `backend`, and pytest runs every case. A failure names the tensor and the numbers."""

    backend: str | Backend
    """A name that an entry point of `sfopt.backends` has, or the backend itself."""
    refuses: frozenset[str] = frozenset()
    """Cases by name (`cases.CASES`) that the backend must refuse, with an SfoptError of one line."""

    def test_is_a_backend(self) -> None:
        """It has the methods of the protocol, a name and a description of one line."""
        found = self._backend()
        assert isinstance(found, Backend), f"{found!r} does not have the methods of sfopt.backend.Backend"
        assert found.name
        _require_one_line(found.description)
        if isinstance(self.backend, str):
            assert found.name == self.backend, f"`{self.backend}` calls itself `{found.name}`"

    def test_refused_cases_exist(self) -> None:
        """`refuses` names cases that there are."""
        unknown = self.refuses - {case.name for case in CASES}
        assert not unknown, f"no case is called {', '.join(sorted(unknown))}"

    @every_case
    def test_every_tensor_is_the_references(self, case: Case) -> None:
        """All that groups write, bit for bit, on two inputs one after the other; and the outputs alone."""
        compiled = self._compiled(case)
        for seed in (0, 1):
            inputs, reference = _inputs(case, seed), _reference(case, seed)
            written = tuple(name for g in case.network.groups for name in g.writes)
            _require_same(reference, compiled.run(inputs), written)
            _require_same(reference, compiled.run(inputs, expose=False), case.network.outputs)

    @every_case
    def test_every_byte_is_the_plans(self, case: Case) -> None:
        """DRAM bytes of each tensor and direction, their categories, and the program's; for backends that move bytes."""
        compiled = self._compiled(case)
        execution = compiled.run(_inputs(case, 0))
        if execution.transfers is None:
            pytest.skip("the backend counts no bytes")
        planned, moved = bytes_per_tensor(case.plan.transfers), bytes_per_tensor(execution.transfers)
        for key in sorted(planned.keys() | moved.keys()):
            have, want = moved.get(key, 0), planned.get(key, 0)
            if have != want:
                raise EquivalenceError(f"tensor `{key[0]}` {key[1]}: plan promises {want} bytes, the run moved {have}")
        fetched = execution.program_bytes or 0
        assert fetched == compiled.program_bytes, f"{fetched} bytes of program, {compiled.program_bytes} were promised"
        assert tally(execution.transfers, 0) == tally(case.plan.transfers, 0)

    @every_case
    def test_the_same_plan_gives_the_same_files(self, case: Case) -> None:
        """Compiled twice: the same bytes, under plain names."""
        first, second = self._compiled(case).files, self._compile(case).files
        assert dict(first) == dict(second), "two runs of the compiler write different files"
        for name, content in first.items():
            assert name == PurePath(name).name, f"file `{name}` is not in the output directory itself"
            assert isinstance(content, bytes), f"file `{name}` is {type(content).__name__}, needs bytes"

    @pytest.mark.parametrize("wrong", ["missing", "type", "shape"])
    def test_wrong_inputs_are_refused_in_one_line(self, wrong: str) -> None:
        """An input that is not there, of another type or of another shape: an SfoptError that names it."""
        case = next(c for c in CASES if c.name not in self.refuses)
        compiled, inputs = self._compiled(case), dict(_inputs(case, 0))
        name = case.network.inputs[0]
        value = inputs.pop(name)
        if wrong == "type":
            inputs[name] = value.astype(np.float32)
        elif wrong == "shape":
            inputs[name] = value[:, :, 1:]
        with pytest.raises(SfoptError) as error:
            compiled.run(inputs)
        _require_one_line(str(error.value))
        assert name in str(error.value), f"`{error.value}` does not name `{name}`"

    def test_refusals_take_one_line(self) -> None:
        """What `refuses` names is refused by an SfoptError when it is compiled."""
        for case in CASES:
            if case.name in self.refuses:
                with pytest.raises(SfoptError) as error:
                    self._compile(case)
                _require_one_line(str(error.value))

    def _backend(self) -> Backend:
        return load_backend(self.backend) if isinstance(self.backend, str) else self.backend

    def _compile(self, case: Case) -> Compiled:
        return self._backend().compile(case.network, case.plan, case.device)

    def _compiled(self, case: Case) -> Compiled:
        """The case compiled, once for all tests of the class; a refused case is skipped."""
        if case.name in self.refuses:
            pytest.skip("the backend refuses this case")
        key = type(self), case.name
        if key not in _compiled:
            _compiled[key] = self._compile(case)
        return _compiled[key]


_compiled: dict[tuple[type[BackendConformance], str], Compiled] = {}


@cache
def _inputs(case: Case, seed: int) -> Arrays:
    return accelerator_inputs(case.network, random_feeds(case.network.graph, seed))


@cache
def _reference(case: Case, seed: int) -> Execution:
    compiled = load_backend(REFERENCE_BACKEND).compile(case.network, case.plan, case.device)
    return compiled.run(_inputs(case, seed))


def _require_same(reference: Execution, execution: Execution, tensors: tuple[str, ...]) -> None:
    for name in tensors:
        if name not in execution.tensors:
            raise EquivalenceError(f"tensor `{name}` is not in Execution.tensors")
    require_equal(compare(REFERENCE_BACKEND, reference.tensors, execution.tensors, tensors))


def _require_one_line(text: str) -> None:
    assert text.strip(), "an empty message"
    assert len(text.splitlines()) == 1, f"more than one line: {text!r}"
