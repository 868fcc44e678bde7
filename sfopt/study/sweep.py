"""Networks x SRAM sizes x methods: import each network once, plan what is not known yet, keep every outcome as it comes."""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from sfopt.allocate import METHODS, OBJECTIVES
from sfopt.device import Device
from sfopt.errors import InternalError, ModelError, SfoptError, UsageError
from sfopt.pipeline import Progress, silent
from sfopt.study.points import FAILED, INFEASIBLE, Outcome, Point, Row, Subject, compute, read_subject
from sfopt.study.store import Store
from sfopt.study.tables import Comparison, comparisons, html_table
from sfopt.study.workers import run_tasks

__all__ = ["Study", "run"]

Key = tuple[str, str, int, str, str]


@dataclass(frozen=True)
class Study:
    """All rows of a study, by network, then SRAM size, then method; `pandas.DataFrame(study.rows)` makes a frame of them."""

    device: Device
    objective: str
    rows: tuple[Row, ...]
    computed: int
    """How many rows this run had to compute; the others were kept from before."""

    @property
    def failures(self) -> tuple[Row, ...]:
        """Rows without a result. Infeasible points are not among them."""
        return tuple(row for row in self.rows if row.status == FAILED)

    @property
    def infeasible(self) -> tuple[Row, ...]:
        """Rows whose method says that there is no plan."""
        return tuple(row for row in self.rows if row.status == INFEASIBLE)

    @property
    def comparisons(self) -> list[Comparison]:
        """For each network a table of what each method moves at each SRAM size."""
        return comparisons(self.rows)

    def _repr_html_(self) -> str:
        """What a notebook shows: for each network the traffic of each method at each SRAM size."""
        return "".join(html_table(table) for table in self.comparisons)


def run(
    models: Sequence[Path],
    sram_bytes: Sequence[int] = (),
    methods: Sequence[str] = (),
    *,
    device: Device,
    objective: str = "traffic",
    time_limit_s: float = 60.0,
    jobs: int | None = None,
    database: Path | None = None,
    progress: Progress = silent,
) -> Study:
    """Plan every network on `device` at every SRAM size by every method, in `jobs` processes (one for each core by default).

    Without sizes, the device's own; without methods, all. With a `database`, outcomes are kept in that SQLite file and a later run
    computes only what is missing. Raises UsageError for an unknown method or objective and ModelError for a model that cannot be
    imported, before anything is planned; a point that fails later is a row with its error. A KeyboardInterrupt says how much is
    done. A script that calls this needs the usual `if __name__ == "__main__":`, since the processes import it.
    """
    sizes = sorted(set(sram_bytes)) or [device.sram_bytes]
    devices = [device.with_sram(size) for size in sizes]
    methods = _known(methods or list(METHODS), METHODS, "method")
    _known([objective], OBJECTIVES, "objective")
    if not models:
        raise UsageError("a study needs at least one model")
    jobs = jobs or os.cpu_count() or 1
    subjects = _import(models, jobs, progress)
    points = [
        (name, Point(subject, sized, size, method, objective, time_limit_s))
        for name, subject in subjects.items()
        for size, sized in zip(sizes, devices, strict=True)
        for method in methods
    ]
    with Store(database) as store:
        kept = {point.key: outcome for _, point in points if (outcome := store.get(point)) is not None}
        outcomes = kept | _compute({p.key: p for _, p in points if p.key not in kept}, len(kept), store, jobs, progress)
    rows = tuple(_row(name, point, outcomes[point.key]) for name, point in points)
    return Study(device, objective, rows, sum(point.key not in kept for _, point in points))


def _known(names: Sequence[str], known: Mapping[str, object], what: str) -> list[str]:
    for name in names:
        if name not in known:
            raise UsageError(f"unknown {what} `{name}`; known: {', '.join(known)}")
    return list(dict.fromkeys(names))


def _import(models: Sequence[Path], jobs: int, progress: Progress) -> dict[str, Subject]:
    """Name -> network, in the order asked for. Raises the first error, which names the model."""
    paths = list({path.resolve(): path for path in models}.values())
    found = dict[Path, Subject]()
    progress("import", 0, len(paths))
    with closing(run_tasks(read_subject, paths, jobs)) as results:
        for path, result in results:
            if isinstance(result, BaseException):
                text, kind = _one_line(result), ModelError if isinstance(result, UsageError) else InternalError
                raise kind(text if str(path) in text else f"model `{path}`: {text}") from result
            found[path] = result
            progress("import", len(found), len(paths))
    return {name: found[path] for name, path in zip(_names(paths), paths, strict=True)}


def _names(paths: Sequence[Path]) -> list[str]:
    """What to call each network: the file's name without its suffix, with it, or the whole path, the first that tells all apart."""
    for names in ([p.stem for p in paths], [p.name for p in paths]):
        if len(set(names)) == len(names):
            return names
    return [str(p) for p in paths]


def _compute(
    missing: Mapping[Key, Point], kept: int, store: Store, jobs: int, progress: Progress
) -> dict[Key, Outcome]:
    """The outcome of each point, put into the store as it comes; progress is counted from `kept` on."""
    outcomes, total = dict[Key, Outcome](), kept + len(missing)
    progress("plan", kept, total)
    try:
        with closing(run_tasks(compute, missing.values(), jobs)) as results:
            for point, result in results:
                outcome = result if isinstance(result, Outcome) else Outcome(FAILED, error=_one_line(result))
                store.put(point, outcome)
                outcomes[point.key] = outcome
                progress("plan", kept + len(outcomes), total)
    except KeyboardInterrupt:
        done = kept + sum(store.get(point) is not None for point in missing.values())  # it may come right after a `put`
        raise KeyboardInterrupt(f"{done} of {total} points are done") from None
    return outcomes


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, SfoptError) else f"internal error: {type(error).__name__}: {text}"


def _row(name: str, point: Point, outcome: Outcome) -> Row:
    subject = point.subject
    return Row(
        network=name,
        groups=subject.groups,
        sram_bytes=point.sram_bytes,
        method=point.method,
        compulsory=subject.compulsory,
        baseline=subject.baseline,
        **asdict(outcome),
    )
