"""What a study writes: the CSV, the tables and the plots say what the rows say."""

import csv
import io
import re
import sys
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest
from PIL import Image

from sfopt.allocate import METHODS
from sfopt.device import load_device
from sfopt.errors import MissingExtraError
from sfopt.study import FAILED, INFEASIBLE, Row, Study, study_files
from sfopt.study.plots import draw
from sfopt.study.tables import COLUMNS

COMPULSORY, BASELINE = 2_000_000, 9_000_000


def row(sram_kib: int, method: str, traffic: int | None, **changes: object) -> Row:
    facts: dict[str, object] = dict.fromkeys(COLUMNS)
    facts |= {"network": "net", "groups": 7, "sram_bytes": sram_kib << 10, "method": method, "traffic": traffic}
    facts |= {
        "compulsory": COMPULSORY,
        "baseline": BASELINE,
        "bound": COMPULSORY,
        "status": "heuristic",
        "seconds": 0.5,
    }
    return Row(**{**facts, **changes})


ROWS = (
    row(256, "optimal", None, status=INFEASIBLE, error="tensor `x` needs 490.0 KiB"),
    row(256, "greedy-size", None, status=FAILED, error="rule 5: `a|b` <overlaps>"),
    row(512, "optimal", 4_000_000, status="optimal", bound=4_000_000, cycles=11, peak=500_000),
    row(512, "greedy-size", 5_000_000, feature_map_bytes=3_000_000, shortcut_bytes=1_000_000),
    row(1024, "optimal", 2_500_000, status="feasible", bound=2_250_000),
    row(1024, "greedy-size", 2_500_000),
)


def study(*rows: Row) -> Study:
    return Study(load_device("sim8"), "traffic", rows or ROWS, len(rows))


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return study_files(study())


def test_names(files):
    assert sorted(files) == ["net.png", "net.svg", "study.csv", "study.md"]


def test_columns_are_those_that_were_promised():
    assert COLUMNS == (
        "network", "groups", "sram_bytes", "method", "status", "traffic", "bound", "feature_map_bytes", "shortcut_bytes",
        "weights_bytes", "cycles", "peak", "compulsory", "baseline", "seconds", "error",
    )  # fmt: skip


def test_csv_reads_back_as_the_rows(files):
    text = files["study.csv"].decode()
    read = list(csv.DictReader(io.StringIO(text)))
    assert tuple(read[0]) == COLUMNS
    assert [tuple(r.values()) for r in read] == [
        tuple("" if getattr(r, c) is None else str(getattr(r, c)) for c in COLUMNS) for r in ROWS
    ]
    assert "\r" not in text


def table_after(markdown: str, heading: str) -> list[list[str]]:
    """Cells of the first table below a heading."""
    lines = iter(markdown.split(f"## {heading}\n", 1)[1].splitlines())
    table = []
    for line in lines:
        if line.startswith("|"):
            table.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif table:
            break
    return table


def test_markdown_compares_the_methods(files):
    text = files["study.md"].decode()
    assert "7 groups; compulsory 2.000 MB, baseline 9.000 MB." in text
    assert "](net.png)" in text
    assert table_after(text, "net") == [
        ["SRAM", "optimal", "greedy-size"],
        ["---"] * 3,
        ["256.0 KiB", "infeasible", "failed"],
        ["512.0 KiB", "4.000", "5.000 (1.25x)"],
        ["1.0 MiB", "2.500, bound 2.250", "2.500"],
    ]


def test_markdown_has_every_point(files):
    header, _, *lines = table_after(files["study.md"].decode(), "All points")
    assert tuple(header) == COLUMNS
    assert len(lines) == len(ROWS)
    assert lines[1][-1] == r"rule 5: `a\|b` <overlaps>"
    assert lines[2][COLUMNS.index("traffic")] == "4000000"


def test_html_is_well_formed_and_says_the_same():
    page = ET.fromstring(
        study(*ROWS, row(256, "optimal", None, network="<b>", status=FAILED))._repr_html_().join(("<p>", "</p>"))
    )
    captions = [caption.text for caption in page.iter("caption")]
    assert [c.split(":")[0] for c in captions] == ["net", "<b>"]
    assert "5.000 (1.25x)" in [cell.text for cell in page.iter("td")]


class TestPlot:
    @pytest.fixture
    def figure(self):
        return draw("net on sim8", ROWS)

    def test_a_line_for_each_method_on_log_axes(self, figure):
        _, axes = figure.axes
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        lines = {line.get_label(): line for line in axes.lines}
        assert list(lines["optimal"].get_xdata()) == [256 << 10, 512 << 10, 1024 << 10]
        np.testing.assert_array_equal(lines["optimal"].get_ydata(), [np.nan, 4.0, 2.5])
        np.testing.assert_array_equal(lines["greedy-size"].get_ydata(), [np.nan, 5.0, 2.5])

    def test_compulsory_and_baseline_are_drawn_across_and_named(self, figure):
        _, axes = figure.axes
        across = [line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]]
        assert across == [COMPULSORY / 1e6, BASELINE / 1e6]
        assert [text.get_text() for text in axes.texts] == ["compulsory\n2.000 MB", "baseline\n9.000 MB"]
        low, high = axes.get_ylim()
        assert low < COMPULSORY / 1e6 < BASELINE / 1e6 < high

    def test_what_is_not_proven_shows_its_bound(self, figure):
        _, axes = figure.axes
        assert [1024 << 10] * 2 in [
            list(line.get_xdata()) for line in axes.lines if list(line.get_ydata()) == [2.25, 2.5]
        ]

    def test_a_strip_says_where_there_is_no_plan(self, figure):
        strip, _ = figure.axes
        assert [label.get_text() for label in strip.get_yticklabels()] == ["optimal", "greedy-size"]
        marked = [(line.get_xdata()[0], line.get_marker()) for line in strip.lines if len(line.get_xdata())]
        assert marked == [(256 << 10, "x"), (256 << 10, "*")]
        legend = [text.get_text() for text in figure.legends[0].get_texts()]
        assert legend == ["optimal", "greedy-size", "to proven bound", "no plan", "failed"]

    def test_no_strip_where_every_point_has_a_plan(self):
        assert len(draw("net", ROWS[2:]).axes) == 1

    def test_sizes_are_labelled_as_people_write_them(self, figure):
        figure.draw_without_rendering()
        assert [t.get_text() for t in figure.axes[1].get_xticklabels()] == ["256 KiB", "512 KiB", "1 MiB"]

    def test_many_sizes_have_few_labels(self):
        many = draw("net", [row(size, "optimal", 3_000_000) for size in range(200, 4000, 100)])
        many.draw_without_rendering()
        labels = [t.get_text() for t in many.axes[0].get_xticklabels()]
        assert labels == ["256 KiB", "512 KiB", "1 MiB", "2 MiB"]

    def test_a_method_looks_the_same_in_every_company(self):
        alone, together = draw("net", ROWS[3:4]).axes[0], draw("net", ROWS[2:4]).axes[0]
        looks = [
            [(x.get_color(), x.get_marker(), x.get_linestyle()) for x in axes.lines if x.get_label() == "greedy-size"]
            for axes in (alone, together)
        ]
        assert looks[0] == looks[1]

    def test_no_two_methods_look_alike(self):
        axes = draw("net", [row(512, method, 3_000_000) for method in METHODS]).axes[0]
        lines = [line for line in axes.lines if line.get_label() in METHODS]
        assert len({line.get_color() for line in lines}) == len(METHODS)
        assert len({line.get_marker() for line in lines}) == len(METHODS)

    def test_png_shows_the_lines(self, files):
        image = Image.open(io.BytesIO(files["net.png"])).convert("RGB")
        assert image.width >= 1200
        colours = {colour for _, colour in image.getcolors(1 << 24)}
        for method in ("optimal", "greedy-size"):
            text = matplotlib.color_sequences["petroff10"][list(METHODS).index(method)]
            assert tuple(round(255 * part) for part in matplotlib.colors.to_rgb(text)) in colours

    def test_svg_is_well_formed_and_the_same_every_time(self, files):
        assert ET.fromstring(files["net.svg"]).tag.endswith("svg")
        assert study_files(study())["net.svg"] == files["net.svg"]

    def test_a_name_is_not_a_formula(self):
        rows = [row(512, "optimal", 3_000_000, network="a$\\frac$b")]
        assert "a_frac_b.png" in study_files(study(*rows))


def test_file_names_stay_apart_and_harmless():
    names = ["a/b.onnx", "a_b.onnx", "A_B.onnx", "study", "..", "été"]
    found = study_files(study(*(row(512, "optimal", 3_000_000, network=name) for name in names)))
    pictures = [name for name in found if name.endswith(".png")]
    assert pictures == ["a_b.onnx.png", "a_b.onnx_.png", "A_B.onnx__.png", "study_.png", "network.png", "été.png"]


def test_without_matplotlib_the_answer_is_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sfopt\[study\]'"):
        study_files(study())
