"""Coverage data of Verilator: points merged over instances and files, and reasons that must be for something."""

from pathlib import Path

import pytest

from benchmarks.hdl_coverage import Coverage, Reason, explain, page, read_reasons
from benchmarks.hdl_coverage.page import compressed
from benchmarks.hdl_coverage.reasons import signal_matches

SOURCE = [
    "module sf_a;",
    "  always_comb begin",
    "    if (x) y = 1;",
    "    case (z)",
    "      default: ;",
    "logic [7:0] sum;",
]


def source(module: str, line: int) -> str:
    assert module == "sf_a"
    return SOURCE[line - 1]


def point(
    line: int,
    kind: str,
    what: str,
    count: int,
    *,
    lines: str = "",
    module: str = "sf_a",
    at: str = "u_a",
    column: int = 3,
) -> str:
    """A line as Verilator writes it."""
    fields = {
        "f": f"/somewhere/hw/rtl/{module}.sv",
        "l": line,
        "n": column,
        "t": kind,
        "page": f"v_{kind}/{module}__W{len(at)}",
    }
    fields |= {"o": what} | ({"S": lines} if lines else {}) | {"h": f"TOP.sf_top.{at}"}
    return "C '" + "".join(f"\x01{key}\x02{value}" for key, value in fields.items()) + f"' {count}\n"


def collected(*files: list[str]) -> Coverage:
    coverage = Coverage(["sf_b", "sf_a"])
    for lines in files:
        coverage.add("# SystemC::Coverage-3\n" + "".join(lines))
    return coverage


def test_any_instance_of_any_file_covers_a_point() -> None:
    first = [
        point(2, "line", "block", 0, lines="2-3", at="u_a[*]"),
        point(2, "line", "block", 0, lines="2-3", at="u_b"),
    ]
    second = [point(2, "line", "block", 4, lines="2-3", at="u_other")]
    assert collected(first).lines("sf_a") == (0, 2)
    both = collected(first, second)
    assert both.lines("sf_a") == (2, 2)
    assert list(both.hits.values()) == [4]
    assert both.uncovered() == []


def test_points_of_one_line_are_told_apart() -> None:
    """By column, way out, and direction of a bit."""
    branches = [point(3, "branch", "if", 1, lines="3", column=5), point(3, "branch", "else", 0, column=6)]
    inner = [point(3, "branch", "if", 0, lines="3", column=9)]
    toggles = [
        point(6, "toggle", "sum[0]:0->1", 3),
        point(6, "toggle", "sum[0]:1->0", 0),
        point(6, "toggle", "sum[7]:0->1", 0),
    ]
    coverage = collected([*branches, *toggles])
    assert (coverage.lines("sf_a"), coverage.covered("sf_a", "branch"), coverage.covered("sf_a", "toggle")) == (
        (1, 1),
        (1, 2),
        (1, 3),
    )
    assert collected([*branches, *inner]).lines("sf_a") == (0, 1)
    assert [(p.what, p.signal) for p in coverage.uncovered()][1:] == [
        ("sum[0]:1->0", "sum[0]"),
        ("sum[7]:0->1", "sum[7]"),
    ]


def test_bits_of_wider_builds_are_points() -> None:
    narrow, wide = (
        [point(6, "toggle", f"sum[{i}]:0->1", 1) for i in range(2)],
        [point(6, "toggle", f"sum[{i}]:0->1", 0) for i in range(4)],
    )
    assert collected(narrow).covered("sf_a", "toggle") == (2, 2)
    assert collected(narrow, wide).covered("sf_a", "toggle") == (2, 4)


def test_benches_are_no_modules() -> None:
    coverage = collected(
        [point(1, "line", "block", 1, lines="1", module="tb_a"), point(1, "line", "block", 1, lines="1", module="sf_b")]
    )
    assert [p.module for p in coverage.hits] == ["sf_b"]


@pytest.mark.parametrize("text", ["nonsense 4", "C 'half 3", point(1, "fsm", "a", 1)])
def test_what_is_no_data(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a coverage point|coverage of kind `fsm`"):
        collected([text])


@pytest.mark.parametrize(
    ("pattern", "signal", "matches"),
    [
        ("sum", "sum", True),
        ("sum", "sum[3]", True),
        ("sum", "sum[3][1]", True),
        ("sum", "sums[3]", False),
        ("sum[7:4]", "sum[4]", True),
        ("sum[7:4]", "sum[7][0]", True),
        ("sum[7:4]", "sum[3]", False),
        ("sum[7]", "sum[6]", False),
        ("sum[*][7]", "sum[3][7]", True),
        ("sum[*][7]", "sum[3][6]", False),
        ("sum[7]", "sum", False),
        ("job.*", "job.x[2]", True),
        ("job.x", "job.x_base[2]", False),
        ("meta*.row[15:8]", "meta_q1.row[9]", True),
        ("lane[*].sum", "lane[3].sum[2]", True),
        ("lane", "lane[3].sum", False),
    ],
)
def test_patterns(pattern: str, signal: str, *, matches: bool) -> None:
    assert signal_matches(pattern, signal) is matches


def reasons(*entries: str) -> list[Reason]:
    return read_reasons("".join(f"[[uncovered]]\n{entry}\n" for entry in entries))


UNCOVERED = [
    point(3, "branch", "else", 0),
    point(5, "line", "case", 0, lines="5"),
    *(point(6, "toggle", f"sum[{i}]:0->1", 0) for i in (0, 5, 6, 7)),
    point(6, "toggle", "sum[1]:0->1", 9),
]
HIGH = 'reason = "small sums"\nmodules = ["sf_*"]\nsignals = ["sum[7:5]"]'
ELSE = 'reason = "always x"\nmodules = ["sf_a"]\ntexts = ["if (x) y = 1; -> else", "default: ;"]'


def test_reasons() -> None:
    found = explain(collected(UNCOVERED).uncovered(), reasons(HIGH, ELSE), source)
    assert {r.reason: len(points) for r, points in found.explained.items()} == {"small sums": 3, "always x": 2}
    assert [p.what for p in found.unexplained] == ["sum[0]:0->1"]
    assert found.stale == ()


@pytest.mark.parametrize(
    ("entry", "stale"),
    [
        (HIGH.replace("sum[7:5]", "sum[1]"), ["sf_*", "sum[1]"]),
        (HIGH.replace('"sum[7:5]"', '"sum[7:5]", "some"'), ["some"]),
        (HIGH.replace('"sf_*"', '"sf_*", "sf_b"'), ["sf_b"]),
        (ELSE.replace("-> else", "-> if"), ["if (x) y = 1; -> if"]),
    ],
)
def test_a_pattern_for_nothing_is_stale(entry: str, stale: list[str]) -> None:
    found = explain(collected(UNCOVERED).uncovered(), reasons(entry), source)
    assert [pattern for _, pattern in found.stale] == stale


@pytest.mark.parametrize(
    "entry", ['modules = ["a"]\ntexts = ["b"]', 'reason = "r"\nmodules = ["a"]', 'reason = "r"\nsignals = ["b"]']
)
def test_half_a_reason(entry: str) -> None:
    with pytest.raises(ValueError, match=r"reason|neither"):
        reasons(entry)


def test_bits_beside_each_other_are_one() -> None:
    lines = [point(6, "toggle", f"sum[{i}]:{way}", 0) for i in (1, 2, 3, 7) for way in ("0->1", "1->0")]
    lines += [
        point(6, "toggle", "sum[4]:1->0", 0),
        point(6, "toggle", "flag:0->1", 0),
        point(6, "toggle", "a[2][1]:0->1", 0),
    ]
    assert sorted(compressed(collected(lines).uncovered())) == [
        "a[2][1] 0->1",
        "flag 0->1",
        "sum[3:1]",
        "sum[4] 1->0",
        "sum[7]",
    ]


def test_the_page() -> None:
    coverage = collected(UNCOVERED)
    text = page(
        coverage, explain(coverage.uncovered(), reasons(HIGH), source), ["tests/test_rtl_a.py"], source, "a machine"
    )
    assert "| `sf_a` | 0 / 1 (0.0 %) | 0 / 1 (0.0 %) | 1 / 5 (20.0 %) | 3 |" in text
    assert "Without any point: `sf_b`." in text
    assert "- small sums (3 toggles)\n  - `sf_a`: `sum[7:5] 0->1`" in text
    assert "- `sf_a`: `if (x) y = 1;` -> else" in text


def test_the_reasons_that_are_kept() -> None:
    """They can be read, and speak of modules that exist."""
    hw = Path(__file__).parents[1] / "hw"
    kept = read_reasons((hw / "tb" / "uncovered.toml").read_text())
    assert kept
    assert all(any((hw / "rtl").glob(f"{glob}.sv")) for reason in kept for glob in reason.modules)
