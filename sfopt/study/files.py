"""The files of a study."""

import re

from sfopt.errors import MissingExtraError
from sfopt.study.sweep import Study
from sfopt.study.tables import CELLS, COLUMNS, by_network, csv_text, markdown_table

__all__ = ["require_matplotlib", "study_files"]

_COLUMNS_MEAN = """\
Sizes in bytes. `bound` is what is proven about `traffic`, `cycles` the planner's step model, `peak` the highest SRAM byte in use,
`seconds` the time of planning on a core beside other workers, `error` why there is no plan.
"""


def require_matplotlib() -> None:
    """Raise MissingExtraError, with the line that installs it, where matplotlib is not there."""
    try:
        import matplotlib  # noqa: F401, PLC0415 - optional
    except ImportError:
        raise MissingExtraError("a study's plots", "study") from None


def study_files(study: Study) -> dict[str, bytes]:
    """File name -> content: `study.csv`, `study.md`, and for each network a plot as `.png` and `.svg`.

    Raises MissingExtraError without matplotlib.
    """
    require_matplotlib()
    from sfopt.study.plots import plot  # noqa: PLC0415 - imports matplotlib

    networks, stems = by_network(study.rows), _stems(study)
    files = {"study.csv": csv_text(study.rows).encode(), "study.md": _markdown(study, stems).encode()}
    for name, rows in networks.items():
        for kind, content in plot(f"{name} on {study.device.name}", rows).items():
            files[f"{stems[name]}.{kind}"] = content
    return files


def _markdown(study: Study, stems: dict[str, str]) -> str:
    parts = [
        f"# Study: {study.device.name}, objective {study.objective}\n",
        f"Cells: {CELLS}. The accelerator's own instructions are left out, as in `compulsory` and `baseline`.\n",
    ]
    for table in study.comparisons:
        parts += [
            f"## {table.network}\n",
            f"{table.caption}.\n",
            markdown_table(table.header, table.lines),
            f"![{table.network}: DRAM traffic against SRAM]({stems[table.network]}.png)\n",
        ]
    lines = [[getattr(row, column) for column in COLUMNS] for row in study.rows]
    return "\n".join([*parts, "## All points\n", _COLUMNS_MEAN, markdown_table(COLUMNS, lines)])


def _stems(study: Study) -> dict[str, str]:
    """Network -> file name without suffix: letters, digits, `.`, `_` and `-`, each name once."""
    stems: dict[str, str] = {}
    for name in by_network(study.rows):
        stem = re.sub(r"[^\w.-]+", "_", name).strip("._") or "network"
        taken = [s.casefold() for s in (*stems.values(), "study")]
        same = next(i for i in range(len(taken) + 1) if (stem + "_" * i).casefold() not in taken)
        stems[name] = stem + "_" * same
    return stems
