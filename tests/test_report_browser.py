"""`report.html` in headless Chromium: it draws offline and without an error, answers to the mouse, can be read at either size."""

import io
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from networks import resnet50
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from segment_networks import SEGMENT_NETWORKS

from sfopt.device import Device, load_device
from sfopt.examples import digits_model_path
from sfopt.groups import Network
from sfopt.pipeline import Options, Result, optimize
from sfopt.plan import Plan, Role
from sfopt.report import build_report, output_files, summary_lines
from sfopt.report.page import report_page
from sfopt.testing.naive_plan import Choice, claimed, naive_plan
from sfopt.traffic import tally

pytestmark = pytest.mark.slow

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FIGURES = ("memory", "traffic", "cycles", "roofline", "proof")
MOST_BYTES = 8 << 20
LEAST_FONT_PX = 11
LEAST_CONTRAST = 4.5
"""WCAG 2.1, level AA, for text."""
MOST_SECONDS_TO_DRAW, MOST_SECONDS_TO_ZOOM = 10, 1
"""Of processor time: all plots of the largest page, and three of them again."""
PATIENCE_MS = 120_000
"""For a machine that is busy with other tests."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """`make test` installs Chromium where apt-get can; only where it cannot may these tests be left out."""
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        reason = f"no {', '.join(CHROMIUM)} on the path"
        if os.environ.get("CI") or shutil.which("apt-get"):
            pytest.fail(f"{reason}: apt-get install chromium")
        pytest.skip(f"{reason}, and no apt-get to install it with")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def digits() -> Result:
    return optimize(digits_model_path(), Options(load_device("sim8")))


@pytest.fixture(scope="module")
def spills() -> tuple[Network, Plan, Device]:
    """Segments, rings, shortcuts and spilled maps in one plan."""
    network, device = SEGMENT_NETWORKS["residual_chain"](), replace(load_device("sim8"), banks=256, bank_bytes=512)
    return network, naive_plan(network, device, Choice(band_rows=2, resident=network.shortcuts), [3]), device


@pytest.fixture(scope="module")
def pages(
    digits: Result, spills: tuple[Network, Plan, Device], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Path]:
    """Name -> file."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "digits.html").write_bytes(output_files(digits, build_report(digits))["report.html"])
    write_page(folder / "spills.html", digits, *spills)
    return {path.stem: path for path in folder.iterdir()}


def write_page(path: Path, like: Result, network: Network, plan: Plan, device: Device) -> None:
    """The page of a plan that was not run; what has nothing to do with it is that of another result."""
    plan = claimed(plan, network, device)
    options, imported = replace(like.options, device=device), replace(like.imported, network=network)
    made = replace(
        like, options=options, imported=imported, plan=plan, planned=tally(plan.transfers, 0), verification=None
    )
    report = build_report(made)
    path.write_text(report_page(network, plan, device, report, summary_lines(report)))


class Tab:
    """An open page, what its console said and what it asked the network for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        page.on("request", lambda request: self.asked.append(request.url))

    def open(self, path: Path) -> "Tab":
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-drawn]", state="attached")
        assert self.asked == [path.as_uri()]
        return self

    def of(self, figure: str, expression: str) -> Any:
        """A JavaScript expression about `plot`."""
        return self.page.evaluate(f"(() => {{ const plot = {plot(figure)}; return {expression}; }})()")

    def colours(self, scheme: str) -> tuple[int, int, int]:
        """Switch to light or dark; the paper's colour when the plots have followed."""
        self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        ink = "getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()"
        for figure in FIGURES:
            self.page.wait_for_function(f"{plot(figure)}._fullLayout.font.color === {ink}")
        paper = rgb(self.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert (sum(paper) > 3 * 128) == (scheme == "light")
        return paper

    def range(self, figure: str, axis: str = "xaxis") -> list[float]:
        return list(self.of(figure, f"plot._fullLayout.{axis}.range.map(Number)"))

    def point(self, figure: str, x: float, y: float) -> tuple[float, float]:
        """Where something of a figure is on the screen, scrolled into view."""
        self.page.locator(f"[data-figure={figure}]").scroll_into_view_if_needed()
        return tuple(
            self.of(
                figure,
                "(() => { const l = plot._fullLayout, r = plot.getBoundingClientRect(); return "
                f"[r.left + l.xaxis._offset + l.xaxis.l2p({x}), r.top + l.yaxis._offset + l.yaxis.l2p({y})]; }})()",
            )
        )


def plot(figure: str) -> str:
    return f"document.querySelector('[data-figure={figure}]')"


Opener = Callable[[str, int], Tab]


@pytest.fixture(scope="module")
def opened(browser: Browser, pages: Mapping[str, Path]) -> Opener:
    """Opens a page by its name, at a width, once: narrow ones by touch and in dark, wide ones by mouse and in light."""

    @cache
    def open_page(name: str, width: int) -> Tab:
        return Tab(new_page(browser, width)).open(pages[name])

    return open_page


def new_page(browser: Browser, width: int) -> Page:
    """Without a network."""
    narrow = width < 600
    page = browser.new_page(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if narrow else "light",
        has_touch=narrow,
        is_mobile=narrow,
        offline=True,
    )
    page.set_default_timeout(PATIENCE_MS)
    return page


@pytest.fixture
def wide(opened: Opener) -> Iterator[Tab]:
    """The digits network, with all plots as they were at first."""
    tab = opened("digits", 1280)
    yield tab
    assert tab.said == []


@pytest.fixture
def spilling(opened: Opener) -> Iterator[Tab]:
    """The plan with spills."""
    tab = opened("spills", 1280)
    yield tab
    assert tab.said == []


def test_everything_is_drawn(wide: Tab, digits: Result) -> None:
    assert wide.page.locator("html").get_attribute("data-drawn") == str(len(FIGURES))
    for name in FIGURES:
        assert wide.of(name, "plot.querySelectorAll('.main-svg .trace, .main-svg .bars').length") > 0, name
    drawn = wide.of("memory", "plot.querySelectorAll('.barlayer .point path').length")
    in_dram = {t.tensor for t in digits.plan.transfers if t.category != "weights"}
    assert drawn == len(digits.plan.buffers) + len(digits.plan.segments) + len(in_dram)
    assert "bit for bit" in wide.page.locator(".cards").inner_text()


def test_hover_shows_the_tensor_and_why_it_is_there(spilling: Tab, spills: tuple[Network, Plan, Device]) -> None:
    _, plan, _ = spills
    wanted = {
        Role.RESIDENT: "shortcut kept until",
        Role.RING: "never exists whole",
        Role.INPUT: "streams in from DRAM",
        Role.WEIGHTS: "all weights, read once",
    }
    for role, why in wanted.items():
        buffer = max((b for b in plan.buffers if b.role is role), key=lambda b: b.size_bytes)
        text = hovered(spilling, plan, buffer.first_step, buffer.last_step, buffer.offset + buffer.size_bytes * 0.37)
        assert buffer.content in text
        assert f"({buffer.size_bytes} bytes)" in text
        assert why in text


def hovered(tab: Tab, plan: Plan, first_step: int, last_step: int, address: float) -> str:
    """The label at an address, between two groups so that no arrow is near."""
    first, last = plan.segments[first_step].first, plan.segments[last_step].last
    return label_at(tab, (first + last) / 2 if (first + last) % 2 else first, address)


def label_at(tab: Tab, x: float, y: float) -> str:
    """What hovering over a place of the memory map shows; the mouse first leaves it, so that no earlier label is read."""
    label = tab.page.locator("[data-figure=memory] .hoverlayer .hovertext")
    place = tab.point("memory", x, y)
    tab.page.mouse.move(0, 0)
    label.wait_for(state="detached")
    tab.page.mouse.move(*place)
    label.wait_for()
    lines = label.evaluate("node => [...node.querySelectorAll('tspan.line')].map(line => line.textContent).join(' ')")
    return re.sub(r"\s+", " ", lines)


def test_a_spill_is_an_arrow_and_says_so(spilling: Tab, spills: tuple[Network, Plan, Device]) -> None:
    _, plan, _ = spills
    spilled = {t.tensor for t in plan.transfers if t.category == "feature_maps"}
    assert spilled
    heads = spilling.of("memory", "plot.querySelectorAll('.scatterlayer .point').length")
    assert heads >= sum(t.category != "weights" for t in plan.transfers)
    texts = spilling.of("memory", "plot.data.find(t => t.name === 'spilled').hovertext")
    for name in spilled:
        assert any(name in t and "spilled: keeping its" in t.replace("<br>", " ") for t in texts)
    first = "plot.data.find(t => t.name === 'spilled' && t.type === 'bar')"
    lane = spilling.of("memory", f"(t => [t.x[0], t.base[0] + t.y[0] / 2])({first})")
    assert "spilled: keeping its" in label_at(spilling, *lane)


def test_drag_zooms_all_plots_over_groups_and_a_double_click_goes_back(wide: Tab) -> None:
    before = wide.range("memory"), wide.range("memory", "yaxis")
    middle = sum(before[1]) / 2
    start, end = wide.point("memory", 3, middle), wide.point("memory", 8, middle)
    wide.page.mouse.move(*start)
    wide.page.mouse.down()
    wide.page.mouse.move(*end, steps=5)
    wide.page.mouse.up()
    wide.page.wait_for_function(f"Math.abs({plot('cycles')}.layout.xaxis.range[0] - 3) < 0.1")
    for name in ("memory", "traffic", "cycles"):
        assert wide.range(name) == pytest.approx([3, 8], abs=0.1), name
    wide.page.mouse.dblclick(*start)
    wide.page.wait_for_function(f"{plot('cycles')}.layout.xaxis.range[0] === {before[0][0]}")
    assert (wide.range("memory"), wide.range("memory", "yaxis")) == before


@pytest.mark.parametrize("width", [1280, 390])
def test_buttons_zoom_too(opened: Opener, width: int) -> None:
    tab = opened("digits", width)
    for name in FIGURES:
        tools, before = tab.page.locator(f"#{name} .tools button"), tab.range(name)
        tools.nth(0).click()
        tab.page.wait_for_function(f"{plot(name)}._fullLayout.xaxis.range[0] > {before[0]}")
        inside = tab.range(name)
        assert inside[1] - inside[0] == pytest.approx((before[1] - before[0]) / 2)
        tools.nth(2).click()
        tab.page.wait_for_function(f"Math.abs({plot(name)}._fullLayout.xaxis.range[0] - {before[0]}) < 1e-6")
    assert tab.said == []


def test_a_click_in_the_legend_hides_and_shows(spilling: Tab) -> None:
    button = spilling.page.locator("#memory .legend button", has_text="spilled")
    shown = "plot.data.filter(t => t.legendgroup === 'spilled').map(t => t.visible !== false)"
    assert spilling.of("memory", shown) == [True, True]
    button.click()
    spilling.page.wait_for_function(f"{plot('memory')}.data.some(t => t.visible === false)")
    assert spilling.of("memory", shown) == [False, False]
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    spilling.page.wait_for_function(f"{plot('memory')}.data.every(t => t.visible !== false)")


BOX = """node => { const box = node.getBoundingClientRect();
  return [box.left + scrollX, box.top + scrollY, box.right + scrollX, box.bottom + scrollY]; }"""
"""An element's edges on the page, however it is scrolled."""
TEXTS = """() => [...document.querySelectorAll('body *')].filter(node => !['SCRIPT', 'STYLE'].includes(node.tagName)
    && [...node.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) && node.getClientRects().length)
  .map(node => { const style = getComputedStyle(node), svg = node instanceof SVGElement;
    return { text: node.textContent.trim().slice(0, 40), size: parseFloat(style.fontSize), colour: svg ? style.fill : style.color,
             plot: svg ? node.closest('.plot').dataset.figure : '', opacity: Number(style.opacity),
             box: (BOX)(node) }; })""".replace("BOX", BOX)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["digits", "spills"])
def test_legible(opened: Opener, name: str, width: int) -> None:
    tab = opened(name, width)
    for scheme in ("dark", "light") if width < 600 else ("light", "dark"):
        paper = tab.colours(scheme)
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
        texts = tab.page.evaluate(TEXTS)
        assert len(texts) > 100
        assert [t for t in texts if t["size"] < LEAST_FONT_PX] == []
        assert [t for t in texts if contrast(rgb(t["colour"]), paper) < LEAST_CONTRAST] == []
        for figure in FIGURES:
            require_apart(tab, figure, [t for t in texts if t["plot"] == figure])
            image = Image.open(io.BytesIO(tab.page.locator(f"[data-figure={figure}]").screenshot())).convert("RGB")
            assert image.getpixel((2, 2)) == paper, figure  # no box of another colour
    assert tab.said == []


def require_apart(tab: Tab, name: str, texts: list[dict[str, Any]]) -> None:
    """No label of a plot lies on another or outside the plot, and no heading, note or legend reaches into it."""
    bounds = tab.of(name, f"({BOX})(plot)")
    for t in texts:
        left, top, right, bottom = t["box"]
        inside = bounds[0] - 1 <= left and right <= bounds[2] + 1 and bounds[1] - 1 <= top and bottom <= bounds[3] + 1
        assert inside, f"{t['text']} is cut off in {name}"
    for a, b in combinations(texts, 2):
        assert not overlap(a["box"], b["box"]), f"{a['text']} lies on {b['text']} in {name}"
    others = f"[...document.querySelectorAll('#{name} .head, #{name} .note, #{name} .legend')]"
    above = [box[3] for box in tab.page.evaluate(f"{others}.map({BOX})")]
    assert max(above) <= bounds[1] + 1


def overlap(a: list[float], b: list[float], slack: float = 1.0) -> bool:
    return a[0] + slack < b[2] and b[0] + slack < a[2] and a[1] + slack < b[3] and b[1] + slack < a[3]


def rgb(text: str) -> tuple[int, int, int]:
    red, green, blue, *_ = (int(float(n)) for n in re.findall(r"[\d.]+", text))
    return red, green, blue


def contrast(a: tuple[int, int, int], b: tuple[int, int, int]) -> float:
    """As WCAG 2.1 defines it."""

    def luminance(colour: tuple[int, int, int]) -> float:
        parts = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_resnet152_is_small_and_fluid(browser: Browser, digits: Result, tmp_path: Path) -> None:
    """One group at a time, every map through DRAM: more rectangles and arrows than any plan of use has."""
    network, device = resnet50(blocks_of=(3, 8, 36, 3)), replace(load_device("kcu1500"), banks=1 << 14)
    plan, path = naive_plan(network, device, Choice()), tmp_path / "report.html"
    assert len(network.groups) == 158
    assert len(plan.buffers) > 472  # those of the plan that is optimal at 6 MiB
    write_page(path, digits, network, plan, device)
    assert path.stat().st_size < MOST_BYTES
    tab = Tab(new_page(browser, 1280))
    busy_seconds = clock_of(tab)
    tab.open(path)
    drawn = busy_seconds()
    tab.page.evaluate(f"Plotly.relayout({plot('memory')}, {{'xaxis.range': [20, 60]}})")
    tab.page.wait_for_function(f"{plot('cycles')}.layout.xaxis.range[1] === 60")
    zoomed = busy_seconds() - drawn
    assert drawn < MOST_SECONDS_TO_DRAW
    assert zoomed < MOST_SECONDS_TO_ZOOM
    assert tab.said == []


def clock_of(tab: Tab) -> Callable[[], float]:
    """Processor time of the page's main thread, which other tests beside this one do not add to."""
    session = tab.page.context.new_cdp_session(tab.page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def seconds() -> float:
        figures = session.send("Performance.getMetrics")["metrics"]
        return float(next(f["value"] for f in figures if f["name"] == "TaskDuration"))

    return seconds
