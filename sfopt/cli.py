"""Optimizer for CNN accelerators with little on-chip memory: from a network to a proven plan and a verified program."""

import os
import sys
import tempfile
import traceback
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sfopt import __version__, demo, pipeline, report, study
from sfopt.allocate.packing import pack as pack_intervals
from sfopt.backend import Disassembler, backend_names, load_backend
from sfopt.check_packing import check_packing
from sfopt.convert import convert as convert_model
from sfopt.device import device_names, load_device
from sfopt.errors import InfeasibleError, SfoptError, StoppedError, UsageError
from sfopt.importer import import_model
from sfopt.interval import answer_text, read_intervals
from sfopt.opset import supported_ops
from sfopt.output import output_directory, write_file
from sfopt.parameters import (
    AsJson,
    BackendName,
    Calibration,
    DeviceName,
    ExplainLimit,
    KnownDevice,
    Method,
    Methods,
    Model,
    NoVerify,
    Objective,
    Orders,
    Rtl,
    Seed,
    Sram,
    TimeLimit,
    TrafficLimit,
    device_of,
    method_of,
    objective_of,
)
from sfopt.progress import progress_line
from sfopt.recheck import check_directory
from sfopt.units import format_bytes, parse_size, parse_sizes

__all__ = [
    "app",
    "backends",
    "check",
    "convert",
    "devices",
    "disasm",
    "explain",
    "main",
    "ops",
    "optimize",
    "pack",
    "run_demo",
    "run_study",
    "verify",
]

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

app = typer.Typer(name="sfopt", help=__doc__, pretty_exceptions_enable=False)
console = Console()
errors = Console(stderr=True)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        console.print(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        console.print(context.get_help(), highlight=False, markup=False)


@app.command()
def optimize(
    model: Model,
    device: DeviceName = "kcu1500",
    sram: Sram = None,
    objective: Objective = "traffic",
    traffic_limit: TrafficLimit = None,
    method: Method = "optimal",
    orders: Orders = 1,
    backend: BackendName = "fpga",
    calibration: Calibration = None,
    time_limit: TimeLimit = 60.0,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Output directory; MODEL.sfopt by default.")] = None,
    no_verify: NoVerify = False,
    rtl: Rtl = False,
    json: AsJson = False,
) -> None:
    """Plan a network, emit its program, run it and compare every tensor with ONNX Runtime."""
    options = pipeline.Options(
        device=device_of(device, sram),
        method=method_of(method),
        objective=objective_of(objective),
        traffic_limit=None if traffic_limit is None else parse_size(traffic_limit),
        orders=orders,
        backend=backend,
        calibration=calibration,
        time_limit_s=time_limit,
        verify=not no_verify,
        rtl=rtl,
        seed=seed,
    )
    load_backend(backend)
    with output_directory(out or Path(f"{model}.sfopt")) as directory:
        result = _run(model, options)
        facts = report.build_report(result)
        directory.publish(report.output_files(result, facts))
    _print_facts(facts, report.summary_lines(facts), as_json=json)
    if not json:
        errors.print(f"written   {escape(str(directory.target))}", soft_wrap=True, highlight=False)


@app.command()
def verify(
    model: Model,
    device: DeviceName = "kcu1500",
    sram: Sram = None,
    method: Method = "optimal",
    backend: BackendName = "fpga",
    calibration: Calibration = None,
    time_limit: TimeLimit = 60.0,
    seed: Seed = 0,
    rtl: Rtl = False,
    json: AsJson = False,
) -> None:
    """Compare every tensor of a backend's run with ONNX Runtime; exit 1 at the first mismatch, which is named."""
    options = pipeline.Options(
        device=device_of(device, sram),
        method=method_of(method),
        backend=backend,
        calibration=calibration,
        time_limit_s=time_limit,
        rtl=rtl,
        seed=seed,
    )
    load_backend(backend)
    facts = report.build_report(_run(model, options))
    _print_facts(facts, report.summary_lines(facts), as_json=json)


@app.command()
def convert(
    model: Model,
    out: Annotated[Path | None, typer.Option("--out", help="ONNX file to write; MODEL.onnx by default.")] = None,
) -> None:
    """Convert a Keras, SavedModel or TFLite model to ONNX; Keras models and SavedModels get batch 1."""
    target = out or Path(f"{model}.onnx")
    content = convert_model(model)
    write_file(target, content)
    console.print(f"written   {escape(str(target))} ({len(content)} bytes)", soft_wrap=True, highlight=False)


@app.command()
def check(
    directory: Annotated[Path, typer.Argument(help="Output directory of `sfopt optimize`.", show_default=False)],
) -> None:
    """Re-derive traffic, peak and feasibility of a written plan, without any solver."""
    _print_lines(check_directory(directory))


@app.command()
def disasm(
    program: Annotated[Path, typer.Argument(help="A program file.", show_default=False)],
    backend: BackendName = "fpga",
) -> None:
    """Print a program file as text."""
    try:
        data = program.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read `{program}`: {error.strerror}") from None
    chosen = load_backend(backend)
    if not isinstance(chosen, Disassembler):
        raise UsageError(f"backend `{backend}` has no program files")
    print(chosen.disassemble(data), end="")


@app.command()
def explain(
    model: Model,
    device: DeviceName = "kcu1500",
    sram: Sram = None,
    method: Method = "optimal",
    orders: Orders = 1,
    calibration: Calibration = None,
    time_limit: ExplainLimit = 60.0,
    tensor: Annotated[str | None, typer.Option("--tensor", help="Only this feature map, in depth.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every line of the tables, not only the first.")] = False,
    json: AsJson = False,
) -> None:
    """Say why each tensor is where it is and what the opposite would cost, what binds, what one more MiB of scratchpad would buy,
    which fusions were declined; for a request without a plan, the smallest scratchpad that works.
    """
    options = pipeline.Options(
        device_of(device, sram),
        method_of(method),
        orders=orders,
        calibration=calibration,
        time_limit_s=time_limit,
        verify=False,
    )
    with progress_line(errors) as progress:
        progress("import", 0, 0)
        imported = import_model(model, calibration)
        if tensor is not None:
            report.require_map(imported.network, tensor)
        progress("solve", 0, 0)
        try:
            network, plan = pipeline.plan_network(imported.network, options, progress.solve)
        except InfeasibleError as error:
            progress("smallest scratchpad", 0, 0)
            facts = report.explain_infeasible(imported.network, options.device, str(error), time_limit)
            progress.end()
            _print_facts(facts, report.infeasible_lines(facts), as_json=json)
            raise
        progress("what if", 0, 0)
        if tensor is not None:
            facts = report.explain_tensor(network, options.device, plan, tensor, time_limit)
            lines = report.tensor_lines(facts)
        else:
            facts = report.explain_plan(network, options.device, plan, time_limit)
            notes = report.import_notes(imported)
            facts |= {"host_ops": report.host_ops(network), "notes": notes}
            lines = [*report.plan_lines(facts, every=every), *report.explain_lines(network, plan)]
            lines += [f"host: {host['op']} `{host['name']}`: {host['reason']}" for host in facts["host_ops"]]
            lines += [f"note: {note}" for note in notes]
    _warn(imported.warnings)
    _print_facts(facts, lines, as_json=json)


def _print_facts(facts: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    if as_json:
        print(report.report_json(facts), end="")
    else:
        _print_lines(lines)


@app.command()
def pack(
    instance: Annotated[Path, typer.Argument(help="CSV with the columns id,lower,upper,size.", show_default=False)],
    capacity: Annotated[
        str | None, typer.Option("--capacity", help="Bytes to stay within, e.g. 1048576 or 1M.")
    ] = None,
    minimize: Annotated[bool, typer.Option("--minimize", help="Find the least peak, not just one that fits.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="File for the answer; standard output by default.")] = None,
    time_limit: TimeLimit = 60.0,
    seed: Seed = 0,
) -> None:
    """Place intervals that are live on [lower, upper) so that none overlaps another; exit 3 if that is proven impossible."""
    if capacity is None and not minimize:
        raise UsageError("pack needs --capacity BYTES, --minimize or both")
    limit_bytes = None if capacity is None else parse_size(capacity)
    intervals = read_intervals(instance)
    packing = pack_intervals(intervals, limit_bytes, minimize=minimize, time_limit_s=time_limit, seed=seed)
    check_packing(intervals, packing.offsets, packing.peak_bytes if limit_bytes is None else limit_bytes)
    answer = answer_text(intervals, packing.offsets)
    if out is None:
        print(answer, end="")
    else:
        write_file(out, answer.encode())
    errors.print(packing.summary, soft_wrap=True, highlight=False)


@app.command()
def devices(name: KnownDevice = None) -> None:
    """List the devices, or print one with the source of each figure."""
    if name is not None:
        console.print(report.device_table(load_device(name)))
        return
    table = Table("name", "lanes", "clock", "scratchpad", "description")
    for known in device_names():
        device = load_device(known)
        lanes, clock = f"{device.lanes_in} x {device.lanes_out}", f"{device.clock_hz / 1e6:.0f} MHz"
        table.add_row(known, lanes, clock, f"{device.sram_bytes // 1024} KiB", device.description)
    console.print(table)


@app.command()
def backends() -> None:
    """List the installed backends."""
    table = Table("name", "description")
    for name in backend_names():
        table.add_row(name, load_backend(name).description)
    console.print(table)


@app.command()
def ops() -> None:
    """List the operators that the accelerator runs, and what happens to the others."""
    table = Table("operators", "runs", "as", "conditions")
    for row in supported_ops():
        table.add_row(*row)
    console.print(table)


@app.command("demo")
def run_demo(
    device: DeviceName = "sim8",
    images: Annotated[int, typer.Option("--images", min=1, help="Held-out images to run on the simulator.")] = 360,
    out: Annotated[Path | None, typer.Option("--out", help="Keep the output files here.")] = None,
) -> None:
    """Take the embedded trained network through the whole flow and report float, int8 and on-simulator accuracy."""
    with nullcontext() if out is None else output_directory(out) as directory:
        with progress_line(errors) as progress:
            outcome = demo.run(load_device(device), images, progress, progress.solve)
        facts = report.build_report(outcome.result)
        if directory is not None:
            directory.publish(report.output_files(outcome.result, facts))
    _print_lines([*report.summary_lines(facts), *outcome.lines])


@app.command("study")
def run_study(
    models: Annotated[list[Path], typer.Argument(help="Networks, as for `sfopt optimize`.", show_default=False)],
    sram: Annotated[
        str | None,
        typer.Option("--sram", help="Sizes: 256K:8M (doubling), 256K:8M:11 (eleven), 512K,6M; or the device's."),
    ] = None,
    methods: Methods = None,
    device: DeviceName = "kcu1500",
    objective: Objective = "traffic",
    time_limit: Annotated[float, typer.Option("--time-limit", min=0.1, help="Seconds for each point.")] = 60.0,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes; one for each core by default.")] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Output directory; a study that was cut short goes on there.")
    ] = Path("study.sfopt"),
) -> None:
    """Plan networks at several SRAM sizes by several methods; write a table, plots and every figure as CSV."""
    study.require_matplotlib()
    database = out / "study.sqlite"
    with output_directory(out) as directory:
        try:
            with progress_line(errors) as progress:
                found = study.run(
                    models,
                    parse_sizes(sram) if sram else (),
                    [name.strip() for name in methods.split(",")] if methods else (),
                    device=load_device(device),
                    objective=objective,
                    time_limit_s=time_limit,
                    jobs=jobs,
                    database=database,
                    progress=progress,
                )
        except KeyboardInterrupt as stop:
            kept = f"; {stop} and kept in `{database}`, the same command goes on from there" if str(stop) else ""
            raise StoppedError(f"interrupted{kept}") from None
        directory.publish(study.study_files(found))
    _print_study(found)
    _print_lines([f"written   {directory.target}"])
    for row in found.failures:
        _complain(f"{row.network} at {format_bytes(row.sram_bytes)} by {row.method}: {row.error}")
    raise typer.Exit(1 if found.failures else 0)


def _print_study(found: study.Study) -> None:
    for comparison in found.comparisons:
        _print_lines([f"{comparison.network}: {comparison.caption}"])
        table = Table()
        for name in comparison.header:
            table.add_column(name, overflow="fold")
        for line in comparison.lines:
            table.add_row(*line)
        console.print(table)
    counts = f"{found.computed} computed, {len(found.rows) - found.computed} kept from before"
    ends = f"{len(found.infeasible)} infeasible, {len(found.failures)} failed"
    _print_lines([f"cells     {study.CELLS}", f"points    {len(found.rows)}: {counts}; {ends}"])


def _run(model: Path, options: pipeline.Options) -> pipeline.Result:
    with progress_line(errors) as progress:
        result = pipeline.optimize(model, options, progress, progress.solve)
    _warn(result.imported.warnings)
    return result


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        errors.print(f"[yellow]warning:[/yellow] {escape(warning)}", soft_wrap=True, highlight=False)


def _print_lines(lines: list[str]) -> None:
    for line in lines:
        console.print(escape(line), soft_wrap=True, highlight=False)


def main() -> None:
    """Entry point: every failure is one line on standard error and an exit code; SFOPT_DEBUG=1 adds the traceback."""
    try:
        code = app(prog_name="sfopt", standalone_mode=False)
        if code == INTERRUPTED:  # Typer's silent way to end at Ctrl-C
            code = _fail("interrupted", INTERRUPTED)
    except SfoptError as error:
        code = _fail(str(error), error.exit_code)
    except typer.Abort:
        code = _fail("interrupted", INTERRUPTED)
    except typer.TyperException as error:
        code = _fail(error.format_message(), 2)
    except KeyboardInterrupt:
        code = _fail("interrupted", INTERRUPTED)
    except OSError as error:  # a full disk, a folder that may not be read
        where = f"`{error.filename}`" if error.filename else f"a file (temporary ones go to `{tempfile.gettempdir()}`)"
        code = _fail(f"{where}: {error.strerror or error}", 2)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a defect of ours, still one line
        code = _fail(f"internal error: {type(error).__name__}: {error}; SFOPT_DEBUG=1 shows where", 1)
    sys.exit(code or 0)


def _fail(text: str, code: int) -> int:
    if os.environ.get("SFOPT_DEBUG"):
        traceback.print_exc()
    _complain(text)
    return code


def _complain(text: str) -> None:
    errors.print(f"sfopt: {escape(' '.join(text.split()))}", soft_wrap=True, highlight=False)
