"""The C backend: what it writes compiles without a warning, needs nothing, lies where the plan says, and rounds as float32 does."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checked import Case, random_cases, segment_cases
from command_line import Run, one_line
from emit_cases import DEVICE, random_choice
from live_networks import revived
from transposed_networks import transposed_network

from sfopt import arithmetic
from sfopt.backend import load_backend
from sfopt.device import load_device
from sfopt.equivalence import compare, require_equal
from sfopt.errors import InternalError, SfoptError, SimulationFault, UsageError
from sfopt.examples import digits_data, digits_model_path
from sfopt.execute import accelerator_inputs, network_outputs, random_feeds
from sfopt.groups import Kind, Network
from sfopt.pipeline import Options, Result, optimize
from sfopt.plan import Plan
from sfopt.testing.cases import CASES
from sfopt.testing.naive_plan import naive_plan
from sfopt.traffic import bytes_per_tensor
from sfopt_c import CBackend, CModel, emit, kernels
from sfopt_c.kernels import kernel_text
from sfopt_c.text import comment, string
from sfopt_c.toolchain import find_compiler

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
SANITIZED = (*STRICT, "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
DOCS = Path(__file__).resolve().parents[1] / "docs" / "c-backend.md"
BY_NAME = {case.name: case for case in CASES}


@pytest.fixture(scope="module")
def digits() -> Result:
    return optimize(digits_model_path(), Options(load_device("sim8").with_sram(32 << 10), backend="c"))


def model_of(result: Result) -> CModel:
    assert isinstance(result.compiled, CModel)
    return result.compiled


def written(model: CModel, folder: Path) -> Path:
    for name, content in model.files.items():
        (folder / name).write_bytes(content)
    return folder


def compiled(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["cc", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def nm(folder: Path, *arguments: str) -> list[list[str]]:
    text = subprocess.run(["nm", *arguments, "model.o"], cwd=folder, capture_output=True, text=True, check=True).stdout
    return [line.split() for line in text.splitlines()]


def require_conforming(network: Network, plan: Plan, model: CModel, seed: int = 0) -> None:
    inputs = accelerator_inputs(network, random_feeds(network.graph, seed))
    execution = model.run(inputs)
    reference = load_backend("ort").compile(network, plan, load_device("sim8")).run(inputs)
    names = tuple(name for g in network.groups for name in g.writes)
    require_equal(compare("ort", reference.tensors, execution.tensors, names))
    assert execution.transfers is not None
    assert bytes_per_tensor(execution.transfers) == bytes_per_tensor(plan.transfers)


def test_digits_from_the_command_line(sfopt: Run, tmp_path: Path) -> None:
    out = tmp_path / "digits"
    code, text, err = sfopt("optimize", digits_model_path(), "--backend", "c", "--method", "greedy-size", "--out", out)
    assert code == 0, err
    assert "0 mismatches" in text
    assert {"model.c", "model.h", "model.int8.onnx", "plan.json", "report.json"} <= {p.name for p in out.iterdir()}
    report = json.loads((out / "report.json").read_text())
    assert report["dram_bytes"]["planned"] == report["dram_bytes"]["simulated"]
    assert report["equivalence"]["mismatches"] == 0
    assert f"arena of {report['sram']['peak']} bytes" in (out / "model.c").read_text()


def test_digits_classifies_as_in_onnxruntime(digits: Result) -> None:
    network = digits.imported.network
    for image in digits_data().images[:5]:
        feeds = {"image": image.transpose(2, 0, 1)[None]}
        inputs = accelerator_inputs(network, feeds)
        ours, theirs = (
            network_outputs(network, feeds, part.run(inputs, expose=False))
            for part in (digits.compiled, digits.reference)
        )
        assert {n: v.tobytes() for n, v in ours.items()} == {n: v.tobytes() for n, v in theirs.items()}


def test_the_file_is_strict_c99_and_needs_nothing(digits: Result, tmp_path: Path) -> None:
    """No warning, no heap, no mathematics library, no floating point in an instruction; only the two copies of string.h."""
    written(model_of(digits), tmp_path)
    (tmp_path / "model.h").unlink()
    compiled(tmp_path, *STRICT, "-O2", "-c", "model.c")
    needed = {line[-1] for line in nm(tmp_path, "-u")}
    assert needed <= {"memcpy", "memset", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}
    offered = {line[-1] for line in nm(tmp_path, "-g", "--defined-only")}
    assert offered == {"model_inputs", "model_outputs", "model_run"}
    assert not re.search(r"\b(malloc|float|double)\b(?! scale;)", code_of(model_of(digits)))


def code_of(model: CModel) -> str:
    """The C without comments."""
    return re.sub(r"/\*.*?\*/", "", model.source.code, flags=re.DOTALL)


def test_static_memory_is_the_plans(digits: Result, tmp_path: Path) -> None:
    written(model_of(digits), tmp_path)
    compiled(tmp_path, *STRICT, "-fno-pie", "-c", "model.c")
    sizes = {line[-1]: int(line[1], 16) for line in nm(tmp_path, "-S", "--defined-only") if len(line) == 4}
    assert sizes["arena"] == digits.plan.peak_bytes
    assert sizes["dram"] == max(d.offset + d.size_bytes for d in digits.plan.dram)
    counted = sum(t.size_bytes for t in digits.plan.transfers if t.category == "weights")
    assert sum(size for name, size in sizes.items() if name.startswith("constants_")) == counted
    variables = {line[-1] for line in nm(tmp_path, "--defined-only") if line[-2] in "bBdD"}
    assert variables <= {"arena", "dram", "taps", "sums"}


def test_an_arena_that_is_too_small_does_not_compile(digits: Result, tmp_path: Path) -> None:
    model = model_of(digits)
    peak = digits.plan.peak_bytes
    code = model.source.code.replace(f"MODEL_ARENA_BYTES {peak}", f"MODEL_ARENA_BYTES {peak - 1}")
    with pytest.raises(InternalError, match=r"refuses the model: .*negative"):
        replace(model, source=replace(model.source, code=code)).run(zeros(digits))


def zeros(result: Result) -> dict[str, np.ndarray]:
    graph = result.imported.network.graph
    return {n: np.zeros(graph.tensor(n).shape, np.int8) for n in result.imported.network.inputs}


@pytest.mark.parametrize("text", re.findall(r"```c\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL))
def test_the_documented_program_runs(text: str, digits: Result, tmp_path: Path) -> None:
    written(model_of(digits), tmp_path)
    (tmp_path / "main.c").write_text(text)
    compiled(tmp_path, *STRICT, "-O2", "-o", "main", "main.c", "model.c")
    said = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout
    (name,) = digits.imported.network.outputs
    expected = digits.reference.run(zeros(digits)).tensors[name].reshape(-1)
    assert said.split() == ["class", str(int(expected.argmax()))]


@pytest.mark.parametrize(
    "name", ["convolutions: rows", "pools: frames", "elements: on-chip", "inverted: rows ahead", "wide: inputs again"]
)
def test_no_access_outside_and_nothing_undefined(name: str) -> None:
    case = BY_NAME[name]
    require_sanitizers()
    require_conforming(case.network, case.plan, CBackend(SANITIZED).compile(case.network, case.plan, case.device))


def test_an_access_outside_is_reported() -> None:
    """The sanitizers are there and say so: what runs under them is checked indeed."""
    require_sanitizers()
    case = BY_NAME["pools: frames"]
    model = CBackend(SANITIZED).compile(case.network, case.plan, case.device)
    code = model.source.code.replace("row % v->ring", "(row % v->ring + 100000000)")
    spoilt = replace(model, source=replace(model.source, code=code))
    with pytest.raises(SimulationFault, match=r"the compiled model ended with status \d+: "):
        spoilt.run(accelerator_inputs(case.network, random_feeds(case.network.graph, 0)))


def require_sanitizers() -> None:
    done = subprocess.run(
        ["cc", *SANITIZED[-2:], "-x", "c", "-", "-o", "/dev/null"], input=b"int main(void){return 0;}", check=False
    )
    if done.returncode != 0:
        pytest.skip("this compiler has no sanitizers")


def random_plans() -> list[Case]:
    """Plans of the planner's tests that need no host."""
    cases = (*segment_cases(), *random_cases(60))
    return [case for case in cases if all(g.kind is not Kind.HOST for g in case[1].groups)]


def check_random_plan(index: int, flags: Sequence[str]) -> None:
    plan, network, device = random_plans()[index]
    alive = replace(network, graph=revived(network.graph, index))
    require_conforming(alive, plan, CBackend(flags).compile(alive, plan, device), index)


@pytest.mark.parametrize("index", range(0, 44, 9))
def test_random_plans(index: int) -> None:
    check_random_plan(index, (*STRICT, "-O0"))


@pytest.mark.nightly
@pytest.mark.parametrize("index", range(94))
def test_more_random_plans(index: int) -> None:
    check_random_plan(index, SANITIZED)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(40))
def test_random_transposed_convolutions(seed: int) -> None:
    network, r = transposed_network(seed), np.random.default_rng(seed)
    network = replace(network, graph=revived(network.graph, seed))
    starts = [g.index for g in network.groups if r.random() < 0.2]
    plan = naive_plan(network, DEVICE, random_choice(network, r), starts)
    require_conforming(network, plan, CBackend(SANITIZED).compile(network, plan, DEVICE), seed)


def test_without_a_compiler_one_line_says_so(
    digits: Result, sfopt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    arguments = (
        "optimize",
        digits_model_path(),
        "--backend",
        "c",
        "--method",
        "greedy-size",
        "--out",
        tmp_path / "out",
    )
    code, _, err = sfopt(*arguments)
    assert code == 2
    assert "needs a C compiler" in one_line(err)
    code, _, err = sfopt(*arguments, "--no-verify")
    assert code == 0, err
    assert (tmp_path / "out" / "model.c").exists()
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(UsageError, match="CC names `no-such-compiler`, which is not on PATH"):
        replace(model_of(digits)).run(zeros(digits))


def test_cc_may_have_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "cc -DMODEL_UNUSED=1")
    command, option = find_compiler()
    assert command == shutil.which("cc")
    assert option == "-DMODEL_UNUSED=1"


def test_the_program_is_removed_with_its_model() -> None:
    case = BY_NAME["pools: frames"]
    model = CBackend(("-std=c99", "-O0")).compile(case.network, case.plan, case.device)
    folder = model.program.parent
    assert folder.is_dir()
    del model
    assert not folder.exists()


def test_what_has_no_c_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    case = BY_NAME["pools: frames"]
    monkeypatch.delitem(kernels.RUN, Kind.MAX_POOL)  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match=r"group `t\d+` is a max_pool, which has no C"):
        emit(case.plan, case.network, case.device)


def test_what_an_int32_does_not_address_is_refused() -> None:
    case = BY_NAME["pools: frames"]
    far = replace(case.plan.buffers[0], offset=1 << 31)
    with pytest.raises(SfoptError, match=r"an arena of \d+ bytes, an int32 counts 2147483647"):
        emit(replace(case.plan, buffers=(far, *case.plan.buffers[1:])), case.network, case.device)


@pytest.mark.parametrize("name", ["*/ int x;", "a\nb", "??/", "ü", "//", 'quo"te', "back\\slash"])
def test_any_name_can_stand_in_c(name: str, tmp_path: Path) -> None:
    text = f"/* {comment(name)} */ #include <stdio.h>\nint main(void) {{ return puts({string(name)}) < 0; }}\n"
    (tmp_path / "name.c").write_text(text.replace(" #include", "\n#include"))
    compiled(tmp_path, *STRICT, "-o", "name", "name.c")
    assert subprocess.run([tmp_path / "name"], capture_output=True, check=True).stdout == f"{name}\n".encode()


ARITHMETIC = """
#include <stdint.h>
#include <stdio.h>
#include <string.h>
static int8_t arena[64];
#define TAPS 1
#define SUMS 1
#define WINDOW 1
#define SCALE_TAPS(l) ((void)0)
#define COUNT_READ(i, n) ((void)0)
%s
static uint32_t bits_from(real r)
{
    uint64_t a = (uint64_t)(r.m < 0 ? -r.m : r.m);
    const uint32_t sign = r.m < 0 ? UINT32_C(0x80000000) : 0;
    if (a == 0) return sign;
    while (a < 0x800000 && r.e > -149) { a <<= 1; --r.e; }
    while (a > 0xFFFFFF) { a >>= 1; ++r.e; }
    if (r.e + 150 > 254) return sign | 0x7F800000;
    return sign | (a < 0x800000 ? (uint32_t)a : ((uint32_t)(r.e + 150) << 23) + (uint32_t)(a - 0x800000));
}
int main(void)
{
    uint32_t in[4], out[4];
    while (fread(in, 4, 4, stdin) == 4) {
        int8_t a[4], b[4], c[4];
        memcpy(a, in, 4); memcpy(b, in + 1, 4); memcpy(c, in + 2, 4);
        out[0] = bits_from(sum_of(exact((int8_t)in[3] * real_at(a).m, real_at(a).e), real_at(b)));
        out[1] = bits_from(sum_of(real_at(a), real_at(b)));
        out[2] = real_at(b).m ? bits_from(quotient_of(real_at(a), real_at(b))) : 0;
        out[3] = (uint32_t)requantised(in[3], real_at(c), -7);
        fwrite(out, 4, 4, stdout);
    }
    return 0;
}
"""


def operands(count: int) -> np.ndarray:
    """Floats of all sizes and of nearly one size, small integers, powers of two; a byte and an accumulator; positive factors."""
    r = np.random.default_rng(5)
    wide = r.integers(0, 1 << 32, (count, 4), dtype=np.uint32)
    near = np.ldexp(r.integers(-(1 << 24), 1 << 24, (count, 2)), r.integers(-30, -20, (count, 2))).astype(np.float32)
    powers = np.ldexp(r.choice([-1.0, 1.0, 3.0], (count, 2)), r.integers(-149, 120, (count, 2))).astype(np.float32)
    kind = r.integers(0, 3, count)
    wide[kind == 1, :2] = near[kind == 1].view(np.uint32)
    wide[kind == 2, :2] = powers[kind == 2].view(np.uint32)
    factor = np.ldexp(r.integers(1 << 23, 1 << 24, count), r.integers(-60, -20, count)).astype(np.float32)
    halves = np.ldexp(np.ones(count), r.integers(-24, 0, count)).astype(np.float32)
    wide[:, 2] = np.where(kind == 2, halves, factor).view(np.uint32)
    small = r.integers(-1000, 1000, count).astype(np.int32).view(np.uint32)
    wide[:, 3] = np.where(r.random(count) < 0.5, small, wide[:, 3])
    finite = (wide[:, :2] >> 23 & 255 != 255).all(axis=1)
    return wide[finite]


def test_arithmetic_in_integers_is_float32s(tmp_path: Path) -> None:
    """Fused product and sum, sum, quotient, requantisation: equal to numpy's, bit for bit."""
    text = kernel_text(["requantise", "quotients"])
    (tmp_path / "arithmetic.c").write_text(ARITHMETIC % text)
    compiled(tmp_path, *STRICT, "-O2", "-o", "arithmetic", "arithmetic.c", "-Wno-unused-function")
    given = operands(60_000)
    said = subprocess.run([tmp_path / "arithmetic"], input=given.tobytes(), capture_output=True, check=True).stdout
    fused, total, quotient, requantised = np.frombuffer(said, np.uint32).reshape(-1, 4).T
    a, b, factor = (np.ascontiguousarray(given[:, i]).view(np.float32) for i in range(3))
    acc = np.ascontiguousarray(given[:, 3]).view(np.int32)
    byte = acc.astype(np.int8)
    with np.errstate(all="ignore"):
        require_bits(fused, arithmetic.fused_multiply_add(byte, a, b))
        require_bits(total, a + b)
        require_bits(quotient[b != 0], (a / b)[b != 0])
    assert np.array_equal(requantised.view(np.int32), arithmetic.requantize(acc, factor, -7))


def require_bits(found: np.ndarray, wanted: np.ndarray) -> None:
    """Equal as floats; a zero has either sign."""
    floats = np.ascontiguousarray(found).view(np.float32)
    assert np.array_equal(floats, wanted)


def test_compilers_exist_for_these_tests() -> None:
    assert shutil.which("cc"), "the tests of the C backend need a C compiler: apt-get install gcc"
