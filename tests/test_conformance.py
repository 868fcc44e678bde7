"""The suite for backend authors: every backend keeps to it, it covers what it says, and it fails on backends that are wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest

import sfopt.testing
from sfopt.backend import Backend, Compiled, Execution, load_backend
from sfopt.check import check_plan
from sfopt.device import Device
from sfopt.errors import EquivalenceError, MissingExtraError, UsageError
from sfopt.groups import Kind, Network
from sfopt.plan import Plan, Role
from sfopt.testing import BackendConformance
from sfopt.testing.cases import CASES, FORMS, Case, forms_of
from sfopt.testing.conformance import _reference
from sfopt_c import CBackend, CModel

BY_NAME = {case.name: case for case in CASES}


class TestOrt(BackendConformance):
    backend = "ort"


class TestFpga(BackendConformance):
    backend = "fpga"


class TestC(BackendConformance):
    backend = "c"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case_has_its_forms_and_a_valid_plan(case: Case) -> None:
    assert case.forms <= forms_of(case)
    check_plan(case.plan, case.network, case.device)


def test_every_form_and_every_kind_of_group_is_in_some_case() -> None:
    assert frozenset().union(*(case.forms for case in CASES)) == FORMS
    groups = [g for case in CASES for g in case.network.groups]
    assert {g.kind for g in groups} == set(Kind)
    assert {bool(g.scale) for g in groups if g.kind in (Kind.CONV, Kind.COPY)} == {True, False}
    assert {g.scale is None for g in groups if g.kind is Kind.DEPTHWISE} == {True, False}
    assert {g.window.transposed for g in groups if g.conv_groups > 1} == {True, False}
    assert any(g.window.transposed for g in groups if g.kind is Kind.DEPTHWISE)
    assert any(p.requantise for g in groups for p in g.pieces)
    assert any(g.before and g.after for g in groups)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_map_is_dead(case: Case) -> None:
    """Comparing maps that are one value proves little."""
    for name, values in _reference(case, 0).tensors.items():
        assert len(np.unique(values)) >= min(values.size, 24) // 3, name


class Broken:
    """The C backend with one thing wrong."""

    name = "broken"
    description = "for a test"

    def compile(self, network: Network, plan: Plan, device: Device) -> Compiled:
        return CBackend(("-std=c99", "-O0")).compile(network, self.spoilt(plan), device)

    def spoilt(self, plan: Plan) -> Plan:
        return plan


class Edited(Broken):
    """Another C than the backend's."""

    def __init__(self, *edits: tuple[str, str]) -> None:
        self.edits = edits

    def compile(self, network: Network, plan: Plan, device: Device) -> Compiled:
        made = super().compile(network, plan, device)
        assert isinstance(made, CModel)
        code = made.source.code
        for old, new in self.edits:
            assert old in code
            code = code.replace(old, new)
        return replace(made, source=replace(made.source, code=code))


class Shifted(Broken):
    """The largest output has the place of an input that the same segment reads."""

    def spoilt(self, plan: Plan) -> Plan:
        output = max((b for b in plan.buffers if b.role is Role.OUTPUT), key=lambda b: b.size_bytes)
        place = next(b.offset for b in plan.buffers if b.role is Role.INPUT and b.first_step == output.first_step)
        return replace(plan, buffers=tuple(replace(b, offset=place) if b == output else b for b in plan.buffers))


@dataclass
class Wrapped:
    """A compiled network whose runs are changed."""

    inner: Compiled
    change: Callable[[Execution], Execution]

    @property
    def program_bytes(self) -> int:
        return self.inner.program_bytes

    @property
    def files(self) -> Mapping[str, bytes]:
        return self.inner.files

    def run(self, inputs: Mapping[str, np.ndarray], *, expose: bool = True) -> Execution:
        try:
            return self.change(self.inner.run(inputs, expose=expose))
        except UsageError:
            raise KeyError("in0") from None


class Changed(Broken):
    """The accelerator, with its runs changed, and exceptions of its own."""

    def __init__(self, change: Callable[[Execution], Execution]) -> None:
        self.change = change

    def compile(self, network: Network, plan: Plan, device: Device) -> Compiled:
        return Wrapped(load_backend("fpga").compile(network, plan, device), self.change)


def with_a_read_twice(execution: Execution) -> Execution:
    assert execution.transfers is not None
    first, *rest = execution.transfers
    return replace(execution, transfers=(replace(first, size_bytes=2 * first.size_bytes), *rest))


def without_a_tensor(execution: Execution) -> Execution:
    return replace(execution, tensors=dict(list(execution.tensors.items())[1:]))


def with_a_fetch(execution: Execution) -> Execution:
    return replace(execution, program_bytes=(execution.program_bytes or 0) + 16)


def suite(backend: Backend, **more: object) -> BackendConformance:
    return type("Suite", (BackendConformance,), {"backend": backend, **more})()


HALF_UP = ("(more || (kept & 1))", "1")
TRUNCATED = ("rest > half || (rest == half && (more || (kept & 1)))", "(void)half, 0")
NO_SUMS = ("rounded(signed_of(acc), 0, 0)", "rounded(0, 0, 0)")


@pytest.mark.parametrize(
    "edit", [HALF_UP, TRUNCATED, NO_SUMS, ("y0 == 0", "y0 == -1"), ("< l->x_width", "<= l->x_width")]
)
def test_wrong_arithmetic_is_caught(edit: tuple[str, str]) -> None:
    with pytest.raises(EquivalenceError, match=r"tensor `.*` at .*: got"):
        suite(Edited(edit)).test_every_tensor_is_the_references(BY_NAME["ties: frames"])


def test_sums_that_are_not_rounded_to_float32_are_caught() -> None:
    exact = """static int32_t requantised(uint32_t acc, real factor, int32_t zero)
{
    real product;
    product.m = (int64_t)signed_of(acc) * factor.m / 8;
    product.e = factor.e + 3;
    return clamped(nearest(product) + zero);
}
static int32_t unused_requantised("""
    edit = ("static int32_t requantised(", exact)
    with pytest.raises(EquivalenceError, match=r"tensor `.*` at .*: got"):
        suite(Edited(edit)).test_every_tensor_is_the_references(BY_NAME["ties: frames"])


def test_a_wrong_offset_is_caught() -> None:
    with pytest.raises(EquivalenceError, match=r"tensor `.*` at .*: got"):
        suite(Shifted()).test_every_tensor_is_the_references(BY_NAME["convolutions: frames"])


def test_a_ring_that_is_not_one_is_caught() -> None:
    with pytest.raises(EquivalenceError, match=r"tensor `.*` at .*: got"):
        suite(Edited(("row % v->ring", "row % (v->ring > 1 ? v->ring - 1 : 1)"))).test_every_tensor_is_the_references(
            BY_NAME["residual: tiles in company"]
        )


@pytest.mark.parametrize(
    "edit", [("COUNT_READ(s->count, dense);", ""), ("(model_counts[i][1] += (uint64_t)(n))", "(void)0")]
)
def test_bytes_that_are_not_counted_are_caught(edit: tuple[str, str]) -> None:
    with pytest.raises(EquivalenceError, match=r"tensor `.*` .*: plan promises .* bytes, the run moved"):
        suite(Edited(edit)).test_every_byte_is_the_plans(BY_NAME["pools: rows"])


def test_rows_that_are_loaded_twice_are_caught() -> None:
    """The bytes are those of the copies, not of what the backend says of itself."""
    edit = ("void model_run(void)\n{", "void model_run(void)\n{\n    segment_0();")
    with pytest.raises(EquivalenceError, match=r"plan promises \d+ bytes, the run moved \d+"):
        suite(Edited(edit)).test_every_byte_is_the_plans(BY_NAME["pools: rows"])


def test_wrong_reports_of_a_run_are_caught() -> None:
    case = BY_NAME["pools: rows"]
    with pytest.raises(EquivalenceError, match="plan promises"):
        suite(Changed(with_a_read_twice)).test_every_byte_is_the_plans(case)
    with pytest.raises(EquivalenceError, match=r"is not in Execution\.tensors"):
        suite(Changed(without_a_tensor)).test_every_tensor_is_the_references(case)
    with pytest.raises(AssertionError, match="bytes of program"):
        suite(Changed(with_a_fetch)).test_every_byte_is_the_plans(case)


def test_an_exception_of_the_backends_own_is_caught() -> None:
    with pytest.raises(KeyError):
        suite(Changed(lambda execution: execution)).test_wrong_inputs_are_refused_in_one_line("missing")


def test_files_that_differ_are_caught() -> None:
    class Counting(Broken):
        calls = 0

        def compile(self, network: Network, plan: Plan, device: Device) -> Compiled:
            self.calls += 1
            edit = ("void model_run(void)\n{", f"void model_run(void)\n{{ /* {self.calls} */")
            return Edited(edit).compile(network, plan, device)

    with pytest.raises(AssertionError, match="different files"):
        suite(Counting()).test_the_same_plan_gives_the_same_files(BY_NAME["pools: frames"])


def test_what_is_said_to_be_refused_must_be() -> None:
    case = BY_NAME["pools: frames"]
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        suite(Broken(), refuses=frozenset({case.name})).test_refusals_take_one_line()
    with pytest.raises(AssertionError, match="no case is called unknown"):
        suite(Broken(), refuses=frozenset({"unknown"})).test_refused_cases_exist()


def test_what_is_refused_in_one_line_may_be() -> None:
    class Refusing(Broken):
        def compile(self, network: Network, plan: Plan, device: Device) -> Compiled:
            raise UsageError("no pools here")

    case = BY_NAME["pools: frames"]
    refusing = suite(Refusing(), refuses=frozenset({case.name}))
    refusing.test_refusals_take_one_line()
    with pytest.raises(pytest.skip.Exception):
        refusing.test_every_tensor_is_the_references(case)


def test_what_is_no_backend_is_caught() -> None:
    with pytest.raises(AssertionError, match=r"methods of sfopt\.backend\.Backend"):
        suite(object()).test_is_a_backend()  # type: ignore[arg-type]


def test_without_pytest_the_message_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "sfopt.testing.conformance")
    monkeypatch.setitem(sys.modules, "pytest", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sfopt\[testing\]'"):
        sfopt.testing.__getattr__("BackendConformance")
