// Draws the charts of a report from the JSON in #data: faults, operations by client, latency, rate and clock offsets over one shared time axis.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const INK = "#1d2733", SOFT = "#5b6876", GRID = "#edf0f3";
  const OUTCOMES = [["ok", "#2f7fb8"], ["info", "#d98e04"], ["fail", "#98a2ad"]];
  const KINDS = { cut: "#6a5acd", kill: "#c0392b", pause: "#7f6a52", clock: "#0f8b8d", voters: "#4f772d", membership: "#8a9a5b" };
  const LINES = ["#2f7fb8", "#0f8b8d", "#6a5acd", "#d98e04", "#c0392b", "#4f772d", "#7f6a52", "#98a2ad"];
  const SVG_LIMIT = 12000; // Without WebGL every mark is an element of the page, and more than this many make it unusable.
  const narrow = window.innerWidth < 700;

  const hasWebGL = (() => {
    const canvas = document.createElement("canvas");
    return Boolean(window.WebGLRenderingContext && (canvas.getContext("webgl") || canvas.getContext("experimental-webgl")));
  })();
  const scatter = hasWebGL ? "scattergl" : "scatter";
  // Plotly reads a little HTML in its texts; what clients wrote is text.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const seconds = (s) => (s < 1 ? (s * 1000).toPrecision(3) + " ms" : s.toFixed(3) + " s");
  const colour = (kind) => KINDS[kind] || "#5b6876";

  const ops = data.ops;
  const shown = (() => {
    const all = ops.index.map((_, at) => at);
    if (hasWebGL || all.length <= SVG_LIMIT) return all;
    const step = Math.ceil(all.length / SVG_LIMIT);
    const note = document.getElementById("chart-note");
    note.textContent = `This browser has no WebGL, so the charts draw one in ${step} of the ok operations; every other one is drawn.`;
    note.hidden = false;
    return all.filter((at) => ops.outcome[at] || ops.witness[at] || at % step === 0);
  })();

  function describe(at) {
    const length = ops.open[at] ? "never answered" : seconds(ops.until[at] - ops.from[at]);
    const error = ops.error[at] ? ` (${plain(ops.error[at])})` : "";
    return `<b>${plain(ops.text[at])}</b><br>${OUTCOMES[ops.outcome[at]][0]}${error}, ${length}` +
      `<br>process ${plain(ops.process[at])}${ops.node[at] ? ", node " + plain(ops.node[at]) : ""}, index ${ops.index[at]}`;
  }

  // An operation is a bar from its invocation to its completion; a gap (null) parts it from the next one of the same trace.
  function timeline(axis) {
    const traces = [];
    const groups = OUTCOMES.map(([name, ink], number) => [name, ink, (at) => ops.outcome[at] === number && !ops.witness[at], 3]);
    groups.push(["witness", "#b3261e", (at) => ops.witness[at], 7]);
    for (const [name, ink, belongs, width] of groups) {
      const x = [], y = [], starts = [], rows = [], text = [];
      for (const at of shown) {
        if (!belongs(at)) continue;
        x.push(ops.from[at], ops.until[at], null);
        y.push(ops.lane[at], ops.lane[at], null);
        starts.push(ops.from[at]);
        rows.push(ops.lane[at]);
        text.push(describe(at));
      }
      if (!starts.length) continue;
      traces.push({ type: scatter, mode: "lines", x, y, yaxis: axis, line: { color: ink, width }, hoverinfo: "skip", showlegend: false, legendgroup: name });
      traces.push({ type: scatter, mode: "markers", x: starts, y: rows, yaxis: axis, text, hovertemplate: "%{text}<extra></extra>", name,
        legendgroup: name, marker: { color: ink, size: name === "witness" ? 9 : 4, symbol: name === "witness" ? "diamond" : "square" } });
    }
    return traces;
  }

  function latency(axis) {
    const faint = Math.min(0.5, Math.max(0.12, 3000 / shown.length)); // many points must not hide the lines' shape or each other
    const traces = OUTCOMES.map(([name, ink], number) => {
      const x = [], y = [], text = [];
      for (const at of shown) {
        if (ops.outcome[at] !== number || ops.open[at]) continue;
        x.push(ops.from[at]);
        y.push(Math.max(0.001, (ops.until[at] - ops.from[at]) * 1000));
        text.push(describe(at));
      }
      return { type: scatter, mode: "markers", x, y, text, yaxis: axis, name, legendgroup: name, showlegend: false,
        hovertemplate: "%{text}<extra></extra>", marker: { color: ink, size: 3, opacity: faint } };
    });
    // Of the same type as the points, because WebGL is painted over everything that is not.
    const dashes = { p50: "solid", p95: "dash", p99: "dot" };
    for (const [name, y] of Object.entries(data.latency_ms)) {
      traces.push({ type: scatter, mode: "lines", x: data.middle_s, y, yaxis: axis, name: name + " (ok)", connectgaps: false,
        line: { color: INK, width: 1.3, dash: dashes[name], shape: "hvh" }, hovertemplate: `${name} %{y:.3g} ms<extra></extra>` });
    }
    return traces;
  }

  const rate = (axis) => OUTCOMES.filter(([name]) => (data.per_s[name] || []).some((n) => n > 0)).map(([name, ink]) => ({
    type: "scatter", mode: "lines", x: data.middle_s, y: data.per_s[name], yaxis: axis, name, legendgroup: name, showlegend: false,
    line: { color: ink, width: 1.6, shape: "hvh" }, hovertemplate: `${name} %{y:.4g}/s<extra></extra>` }));

  const clocks = (axis) => Object.entries(data.clocks).map(([host, line], number) => ({
    type: "scatter", mode: "lines+markers", x: line.at, y: line.offset_ms, yaxis: axis, name: plain(host), legend: "legend2",
    error_y: { type: "data", array: line.error_ms, thickness: 1, width: 2 }, marker: { size: 4 }, line: { width: 1.2, color: LINES[number % LINES.length] },
    hovertemplate: `${plain(host)} %{y:.3f} ms<extra></extra>` }));

  const kinds = [...new Set(data.faults.map((fault) => fault.kind))];
  function strip(axis) {
    return data.faults.map((fault) => ({
      type: "scatter", mode: "lines", x: [fault.start, (fault.start + fault.healed) / 2, fault.healed], y: Array(3).fill(kinds.indexOf(fault.kind)), yaxis: axis,
      showlegend: false, line: { color: colour(fault.kind), width: 9, dash: fault.verified ? "solid" : "dot" }, text: Array(3).fill(
        `<b>${plain(fault.kind)} ${plain(fault.id)}</b><br>${plain(fault.text)}<br>${seconds(fault.injected)} to ${seconds(fault.heal)}, ` +
        (fault.verified ? "verified" : "NOT verified")), hovertemplate: "%{text}<extra></extra>" }));
  }

  // Heights in pixels, from the top; each panel's axis takes its share of the figure.
  const lanesTall = Math.min(560, Math.max(150, data.lanes.length * 15));
  const panels = [
    data.faults.length && { title: "Faults", tall: 16 + 18 * kinds.length, draw: strip, axis: { tickvals: kinds.map((_, n) => n), ticktext: kinds.map(plain), range: [kinds.length - 0.4, -0.6], fixedrange: true } },
    { title: "Operations by client", tall: lanesTall, draw: timeline, axis: { range: [data.lanes.length - 0.4, -0.6],
      ...(data.lanes.length <= 40 && { tickvals: data.lanes.map((_, n) => n), ticktext: data.lanes.map(plain) }) } },
    { title: "Latency, ms", tall: 220, draw: latency, axis: { type: "log", dtick: 1, exponentformat: "none" } },
    { title: "Completions per second", tall: 140, draw: rate, axis: { rangemode: "tozero" } },
    Object.keys(data.clocks).length && { title: "Clock offset, ms", tall: 140, draw: clocks, axis: { zeroline: true, zerolinecolor: GRID } },
  ].filter(Boolean);

  const GAP = 38, TOP = 64, BOTTOM = 40;
  const inner = panels.reduce((sum, panel) => sum + panel.tall + GAP, -GAP + 22);
  const layout = {
    height: inner + TOP + BOTTOM, margin: { l: narrow ? 64 : 92, r: narrow ? 10 : 20, t: TOP, b: BOTTOM },
    paper_bgcolor: "#fff", plot_bgcolor: "#fff", font: { family: "system-ui, Segoe UI, Roboto, Noto Sans, sans-serif", size: 12, color: SOFT },
    hovermode: "closest", hoverlabel: { bgcolor: "#fff", bordercolor: SOFT, font: { color: INK, size: 12 }, align: "left" }, dragmode: "zoom",
    legend: { orientation: "h", x: 0, y: 1 + 14 / inner, yanchor: "bottom", xanchor: "left", bgcolor: "rgba(255,255,255,0)" },
    xaxis: { range: [0, data.end_s], ticksuffix: " s", gridcolor: GRID, zeroline: false, showspikes: true, spikemode: "across", spikethickness: 1, spikecolor: "#c5ccd4", spikedash: "solid" },
    shapes: [], annotations: [],
  };
  const traces = [];
  let top = 22;
  panels.forEach((panel, number) => {
    const axis = number === 0 ? "y" : "y" + (number + 1);
    const domain = [Math.max(0, 1 - (top + panel.tall) / inner), 1 - top / inner];
    layout[axis.replace("y", "yaxis")] = { domain, gridcolor: GRID, zeroline: false, tickfont: { size: narrow ? 10 : 11 }, ...panel.axis };
    layout.annotations.push({ text: `<b>${panel.title}</b>`, xref: "paper", yref: "paper", x: 0, y: domain[1], yanchor: "bottom", xanchor: "left", showarrow: false, font: { color: INK, size: 12 } });
    traces.push(...panel.draw(axis));
    if (number === panels.length - 1) layout.xaxis.anchor = axis;
    if (panel.draw === clocks) layout.legend2 = { orientation: "h", x: 1, xanchor: "right", y: domain[1], yanchor: "bottom", bgcolor: "rgba(255,255,255,0)" };
    top += panel.tall + GAP;
  });

  const band = (from, until, ink, opacity) => layout.shapes.push({ type: "rect", xref: "x", yref: "paper", x0: from, x1: until, y0: 0, y1: 1 - 22 / inner, fillcolor: ink, opacity, line: { width: 0 }, layer: "below" });
  for (const fault of data.faults) {
    band(fault.start, fault.healed, colour(fault.kind), 0.06); // taking effect, or healing
    if (fault.heal > fault.injected) band(fault.injected, fault.heal, colour(fault.kind), 0.07); // certainly on
  }
  for (const [number, [name, at]] of data.phases.entries()) {
    layout.shapes.push({ type: "line", xref: "x", yref: "paper", x0: at, x1: at, y0: 0, y1: 1 - 22 / inner, line: { color: "#b8c0c9", width: 1, dash: "dot" }, layer: "below" });
    layout.annotations.push({ text: plain(name), xref: "x", yref: "paper", x: at, y: 0, yanchor: "bottom", xanchor: number % 2 ? "left" : "right", textangle: -90, showarrow: false, font: { size: 10, color: SOFT } });
  }
  Plotly.newPlot("charts", traces, layout, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"], displayModeBar: narrow ? false : "hover" });

  const copy = document.getElementById("copy");
  if (copy) copy.addEventListener("click", async () => {
    const command = document.getElementById("command");
    try {
      await navigator.clipboard.writeText(command.textContent);
      copy.textContent = "Copied";
    } catch {
      // A page opened from a file may not be allowed to write the clipboard: select the text instead.
      getSelection().selectAllChildren(command);
      copy.textContent = "Selected";
    }
  });
})();
