// Draws the figures of the page and lets them follow its width, its colours and each other's zoom.
(function () {
  "use strict";
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const coarse = matchMedia("(pointer: coarse)").matches;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const plots = [];

  const axesOf = (layout) => Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));

  // The page's own colours, as changes to a layout.
  function theme(layout) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue("--" + name).trim();
    const changes = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      "font.color": colour("ink"), "hoverlabel.bgcolor": colour("card"),
      "hoverlabel.bordercolor": colour("line"), "hoverlabel.font.color": colour("ink"),
    };
    for (const axis of axesOf(layout)) {
      changes[axis + ".gridcolor"] = colour("grid");
      changes[axis + ".linecolor"] = changes[axis + ".tickcolor"] = changes[axis + ".zerolinecolor"] = colour("line");
    }
    return changes;
  }

  function set(layout, changes) {
    for (const [path, value] of Object.entries(changes)) {
      const keys = path.split(".");
      const last = keys.pop();
      keys.reduce((part, key) => (part[key] = part[key] || {}), layout)[last] = value;
    }
  }

  // Ticks at round powers of two, none below zero or above the limit: there the memory map shows DRAM and segments.
  function byteTicks(range, count, { top = Infinity, end }) {
    const [low, high] = [Math.max(0, Math.min(...range)), Math.min(top, Math.max(...range))];
    let step = 1;
    while ((high - low) / step > count) step *= 2;
    const unit = step >= 1 << 18 ? [1 << 20, "MiB"] : step >= 1 << 8 ? [1 << 10, "KiB"] : [1, "B"];
    const digits = Math.max(0, Math.ceil(Math.log2(unit[0] / step)));
    const ends = end !== undefined && end >= low && end <= high;
    const tickvals = [];
    for (let at = Math.ceil(low / step) * step; at <= high; at += step) {
      if (!ends || Math.abs(end - at) > step / 2) tickvals.push(at);
    }
    if (ends) tickvals.push(end);
    return { tickvals, ticktext: tickvals.map((v) => (v === 0 ? "0" : (v / unit[0]).toFixed(digits) + " " + unit[1])) };
  }

  function ticks(plot) {
    const changes = {};
    for (const axis of (plot.layout.meta && plot.layout.meta.bytes) || []) {
      const full = plot._fullLayout[axis];
      const place = plot.layout.meta.dram;
      const { tickvals, ticktext } = byteTicks(full.range, Math.max(3, full._length / 45), plot.layout.meta);
      if (place && Math.min(...full.range) < place) {
        tickvals.unshift(place);
        ticktext.unshift("DRAM");
      }
      if (JSON.stringify(full.tickvals) !== JSON.stringify(tickvals)) {
        Object.assign(changes, { [axis + ".tickmode"]: "array", [axis + ".tickvals"]: tickvals, [axis + ".ticktext"]: ticktext });
      }
    }
    return changes;
  }

  // Applied without being heard by `follow`.
  function change(plot, changes) {
    if (Object.keys(changes).length === 0) return Promise.resolve();
    plot.quiet = true;
    return Plotly.relayout(plot, changes).then(() => { plot.quiet = false; });
  }

  // Plots over groups show the same groups.
  async function follow(plot) {
    if (plot.quiet) return;
    await change(plot, ticks(plot));
    if (!plot.layout.meta || !plot.layout.meta.groups) return;
    const range = plot.layout.xaxis.range.slice();
    for (const other of plots) {
      if (other === plot || !other.layout.meta || !other.layout.meta.groups) continue;
      if (String(other.layout.xaxis.range) !== String(range)) await change(other, { "xaxis.range": range });
    }
  }

  function zoom(plot, factor) {
    const changes = {};
    for (const axis of axesOf(plot.layout).filter((key) => key[0] === "x")) {
      const [a, b] = plot._fullLayout[axis].range;
      const [middle, half] = [(a + b) / 2, ((b - a) / 2) * factor];
      changes[axis + ".range"] = [middle - half, middle + half];
    }
    if (coarse) changes.dragmode = "pan";
    return Plotly.relayout(plot, changes);
  }

  function reset(plot) {
    const changes = coarse ? { dragmode: false } : {};
    for (const [axis, range] of Object.entries(plot.home)) {
      if (range) changes[axis + ".range"] = range.slice();
      else changes[axis + ".autorange"] = true;
    }
    return Plotly.relayout(plot, changes);
  }

  // Buttons that wrap as text does, each of which hides what it names and shows it again.
  function legend(plot, data) {
    const entries = new Map();
    data.forEach((trace, at) => {
      const key = trace.legendgroup || trace.name;
      if (!entries.has(key)) entries.set(key, { name: trace.name, trace, traces: [] });
      entries.get(key).traces.push(at);
    });
    const list = plot.previousElementSibling;
    for (const { name, trace, traces } of entries.values()) {
      const button = document.createElement("button");
      const mark = document.createElement("i");
      const line = trace.type === "scatter" && (trace.mode || "").startsWith("lines");
      mark.className = line ? "line" : trace.type === "scatter" ? "dot" : "box";
      if (line) mark.style.borderTop = "2px " + (trace.line.dash === "dot" ? "dotted " : "solid ") + trace.line.color;
      else mark.style.background = trace.marker.color;
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      button.append(mark, name);
      button.addEventListener("click", () => {
        const shown = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(shown));
        Plotly.restyle(plot, { visible: shown }, traces);
      });
      list.append(button);
    }
  }

  async function draw(plot) {
    const figure = figures[plot.dataset.figure];
    const narrow = plot.clientWidth < 600;
    const layout = figure.layout;
    layout.font = { size: 12, family: getComputedStyle(document.body).fontFamily };
    layout.showlegend = false;
    layout.margin = { l: narrow ? 8 : 88, r: 8, t: 8, b: 8 };
    layout.dragmode = coarse ? false : "zoom";
    layout.hoverlabel = { align: "left", font: { size: 12 } };
    plot.home = {};
    for (const axis of axesOf(layout)) {
      const one = layout[axis];
      plot.home[axis] = one.range && one.range.slice();
      Object.assign(one, { automargin: true, showline: true, zeroline: false, ticks: "outside", ticklen: 4 });
      one.title = { text: one.title && one.title.text, standoff: 8, font: { size: 13 } };
      if (narrow && axis[0] === "x") one.nticks = 6;
    }
    set(layout, theme(layout));
    legend(plot, figure.data);
    plots.push(plot);
    await Plotly.newPlot(plot, figure.data, layout, { responsive: true, displayModeBar: false, doubleClick: false });
    await change(plot, ticks(plot));
    plot.on("plotly_relayout", () => follow(plot));
    plot.on("plotly_doubleclick", () => reset(plot));
    for (const button of plot.closest("section").querySelectorAll(".tools button")) {
      const what = button.dataset.tool;
      button.addEventListener("click", () => (what === "reset" ? reset(plot) : zoom(plot, what === "in" ? 0.5 : 2)));
    }
  }

  async function start() {
    for (const plot of document.querySelectorAll(".plot")) await draw(plot);
    dark.addEventListener("change", () => plots.forEach((plot) => change(plot, theme(plot.layout))));
    document.documentElement.dataset.drawn = plots.length;
  }

  start();
})();
