// Draws the panels of the timeline into one canvas: faults, nodes, operations by client, latency, completions, clocks. All share one time axis.
"use strict";
const canvas = $("canvas"), ink = canvas.getContext("2d");
const FAULT_KINDS = [...new Set(data.faults.map((fault) => fault.kind))];
const GAP = 30, AXIS = 26, PADDING = 12;
const lanePitch = Math.max(2, Math.min(14, 420 / Math.max(1, data.lanes.length)));
let area = { left: 96, right: 0, width: 0, height: 0 };
let colours = {};

const panels = [
  FAULT_KINDS.length && { title: "Faults", tall: FAULT_KINDS.length * 18, draw: drawFaults, labels: FAULT_KINDS },
  data.nodes.length && data.spans.length + lines.count && { title: "Nodes", tall: data.nodes.length * 20, draw: drawNodes, labels: data.nodes },
  data.voters.length && { title: "Voters of the newest term", tall: 20, draw: drawVoters, labels: [] },
  { title: "Operations by client", tall: Math.max(40, Math.round(data.lanes.length * lanePitch)), draw: drawOperations, labels: lanePitch >= 9 ? data.lanes : [] },
  { title: "Latency of operations, ms", tall: 130, draw: drawLatency, labels: [] },
  { title: "Completions per second", tall: 80, draw: drawRates, labels: [] },
  Object.keys(data.clocks).length && { title: "Clock offset, ms", tall: 70, draw: drawClocks, labels: [] },
].filter(Boolean);

const xOf = (s) => area.left + ((s - view.from) / (view.until - view.from)) * area.width;
const secondsAt = (x) => view.from + ((x - area.left) / area.width) * (view.until - view.from);

function readColours() {
  const style = getComputedStyle(document.documentElement);
  colours = Object.fromEntries(["ink", "soft", "line", "paper", "ok", "info", "fail", "proof", "leader", "down", "band", "cursor"].map((name) => [name, style.getPropertyValue("--" + name).trim()]));
}

function resize() {
  const width = $("timeline").clientWidth, narrow = width < 620, scale = window.devicePixelRatio || 1;
  let top = PADDING;
  for (const panel of panels) {
    panel.top = top + 18;
    top = panel.top + panel.tall + (GAP - 18);
  }
  area = { left: narrow ? 62 : 100, right: 10, width: 0, height: top + AXIS, bottom: top };
  area.width = Math.max(40, width - area.left - area.right);
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(area.height * scale);
  canvas.style.height = area.height + "px";
  ink.setTransform(scale, 0, 0, scale, 0, 0);
}

function draw() {
  ink.clearRect(0, 0, canvas.width, canvas.height);
  drawAxis();
  drawBands();
  for (const panel of panels) {
    label(panel.title, area.left, panel.top - 6, colours.ink, "600 12px system-ui, sans-serif");
    const pitch = panel.tall / Math.max(1, panel.labels.length);
    panel.labels.forEach((text, row) => label(clipped(text, area.left - 8), area.left - 6, panel.top + (row + 0.5) * pitch + 4, colours.soft, "11px system-ui, sans-serif", "right"));
    ink.save();
    ink.beginPath();
    ink.rect(area.left, panel.top - 4, area.width, panel.tall + 8);
    ink.clip();
    panel.draw(panel);
    ink.restore();
  }
  drawCursor();
}

function label(text, x, y, colour, font, align = "left") {
  ink.fillStyle = colour;
  ink.font = font;
  ink.textAlign = align;
  ink.fillText(text, x, y);
}
function clipped(text, room) {
  const most = Math.max(3, Math.floor(room / 6));
  return text.length > most ? text.slice(0, most - 1) + "…" : text;
}

function drawAxis() {
  const length = view.until - view.from, raw = length / Math.max(2, area.width / 110), power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw), digits = Math.max(0, -Math.floor(Math.log10(step)));
  for (let at = Math.ceil(view.from / step) * step; at <= view.until; at += step) {
    const x = Math.round(xOf(at)) + 0.5;
    ink.fillStyle = colours.line;
    ink.fillRect(x, PADDING, 1, area.bottom - PADDING);
    label(at.toFixed(Math.min(6, digits)) + " s", x, area.bottom + 14, colours.soft, "11px system-ui, sans-serif", "center");
  }
  let free = Infinity;
  for (const [name, at] of [...data.phases].reverse()) {
    if (at < view.from || at > view.until) continue;
    ink.fillStyle = colours.soft;
    for (let y = PADDING; y < area.bottom; y += 6) ink.fillRect(xOf(at), y, 1, 2);
    ink.font = "10px system-ui, sans-serif";
    const width = ink.measureText(name).width + 6, x = Math.min(xOf(at), free);
    if (xOf(at) - x > 40) continue;
    label(name, x - 3, PADDING - 2, colours.soft, ink.font, "right");
    free = x - width;
  }
}

function drawBands() {
  for (const fault of data.faults) {
    ink.globalAlpha = 0.16;
    ink.fillStyle = colours.band;
    bar(fault.injected, fault.heal, PADDING, area.bottom - PADDING, 1);
    ink.globalAlpha = 1;
  }
}
function bar(from, until, y, height, least = 2) {
  const left = Math.max(area.left - 4, xOf(from)), right = Math.min(area.left + area.width + 4, xOf(until));
  if (right < area.left || left > area.left + area.width) return 0;
  ink.fillRect(left, y, Math.max(least, right - left), height);
  return right - left;
}
function barText(text, from, until, y, colour) {
  const left = Math.max(area.left, xOf(from)) + 4, room = Math.min(area.left + area.width, xOf(until)) - left;
  if (room > 26) label(clipped(text, room), left, y, colour, "11px system-ui, sans-serif");
}

function drawFaults(panel) {
  for (const fault of data.faults) {
    const y = panel.top + FAULT_KINDS.indexOf(fault.kind) * 18 + 2;
    ink.fillStyle = colours.band;
    ink.globalAlpha = 0.45;
    bar(fault.start, fault.healed, y, 14);
    ink.globalAlpha = 1;
    if (fault.verified) bar(fault.injected, fault.heal, y, 14);
    barText((fault.verified ? "" : "not verified: ") + fault.text, fault.start, fault.healed, y + 11, fault.verified ? colours.paper : colours.ink);
  }
}

function drawNodes(panel) {
  const rows = new Map(data.nodes.map((name, row) => [name, panel.top + row * 20]));
  for (const y of rows.values()) {
    ink.fillStyle = colours.line;
    ink.fillRect(area.left, y + 9, area.width, 2);
  }
  for (const fault of data.faults) {
    ink.fillStyle = colours.down;
    for (const node of minority(fault.edges)) if (rows.has(node)) bar(fault.injected, fault.heal, rows.get(node) + 17, 2);
  }
  for (const [node, from, until, state, term] of data.spans) {
    const y = rows.get(node);
    if (y === undefined) continue;
    ink.fillStyle = term === null ? colours.down : colours.leader;
    bar(from, until, y + 3, 13);
    barText(term === null ? state : `leader, term ${term}`, from, until, y + 13, colours.paper);
  }
  for (let i = 0; i < lines.count; i++) {
    if (lines.at[i] === null || !lines.level[i] || !rows.has(lines.node(i)) || lines.at[i] < view.from || lines.at[i] > view.until) continue;
    const x = xOf(lines.at[i]), y = rows.get(lines.node(i));
    ink.fillStyle = lines.level[i] === 2 ? colours.proof : colours.info;
    ink.beginPath();
    ink.moveTo(x, y);
    ink.lineTo(x + 4, y + 7);
    ink.lineTo(x - 4, y + 7);
    ink.fill();
  }
}

// A bar for each configuration and term; the gaps between bars are the changes.
function drawVoters(panel) {
  for (const [from, until, term, voters] of data.voters) {
    ink.fillStyle = colours.line;
    bar(from, until - (3 / area.width) * (view.until - view.from), panel.top + 2, 16, 1);
    barText(`term ${term}: ${voters}`, from, until, panel.top + 14, colours.ink);
  }
}

// The nodes outside the largest group of those that can still reach one another both ways.
const sidesOf = new Map();
function minority(edges) {
  if (!edges.length) return [];
  if (!sidesOf.has(edges)) {
    const dropped = new Set(edges.flatMap(([a, b]) => [a + "\n" + b, b + "\n" + a])), groups = [], left = new Set(data.nodes);
    while (left.size) {
      const group = [[...left][0]];
      left.delete(group[0]);
      for (const node of group) for (const other of [...left]) if (!dropped.has(node + "\n" + other)) { group.push(other); left.delete(other); }
      groups.push(group);
    }
    groups.sort((a, b) => b.length - a.length);
    sidesOf.set(edges, groups.slice(1).flat());
  }
  return sidesOf.get(edges);
}

// A bar from invocation to completion: ok is tall, info a thin line, fail low. What a pixel already shows is not drawn again.
function drawOperations(panel) {
  const shapes = [[0.12, 0.76], [0.4, 0.22], [0.6, 0.34]], drawn = OUTCOMES.map(() => new Float64Array(data.lanes.length).fill(-1));
  const perSecond = area.width / (view.until - view.from), right = area.left + area.width;
  for (let i = 0; i < ops.count; i++) {
    if (!passes[i] || ops.until[i] < view.from || ops.from[i] > view.until) continue;
    const kind = ops.outcome[i], lane = ops.lane[i], left = Math.max(area.left - 2, area.left + (ops.from[i] - view.from) * perSecond);
    const end = Math.min(right, Math.max(left + 1.5, area.left + (ops.until[i] - view.from) * perSecond));
    if (end <= drawn[kind][lane] + 0.5) continue;
    drawn[kind][lane] = end;
    ink.fillStyle = colours[OUTCOMES[kind]];
    ink.fillRect(left, panel.top + (lane + shapes[kind][0]) * lanePitch, end - left, Math.max(1, shapes[kind][1] * lanePitch));
  }
  for (const i of ops.proven) if (passes[i]) mark(i, panel, colours.proof);
  if (view.op >= 0) mark(view.op, panel, colours.ink);
}
function mark(i, panel, colour) {
  if (ops.until[i] < view.from || ops.from[i] > view.until) return;
  const y = panel.top + (ops.lane[i] + 0.5) * lanePitch, x = Math.max(area.left, xOf(ops.from[i]));
  ink.fillStyle = colour;
  bar(ops.from[i], ops.until[i], y - Math.max(2, lanePitch * 0.4), Math.max(4, lanePitch * 0.8), 2);
  ink.beginPath();
  ink.moveTo(x, y - 6);
  ink.lineTo(x + 6, y);
  ink.lineTo(x, y + 6);
  ink.lineTo(x - 6, y);
  ink.fill();
}

const latencyTop = 10 ** Math.ceil(Math.log10(Math.max(10, ...Object.values(data.latency_ms).flat().map((ms) => ms || 0)))), LATENCY_LOW = 0.1;
function drawLatency(panel) {
  const decades = Math.log10(latencyTop / LATENCY_LOW), yOf = (ms) => panel.top + panel.tall * (1 - Math.log10(Math.min(latencyTop, Math.max(LATENCY_LOW, ms)) / LATENCY_LOW) / decades);
  for (let ms = LATENCY_LOW; ms <= latencyTop * 1.01; ms *= 10) grid(yOf(ms), String(+ms.toPrecision(1)), ms * 10 > latencyTop * 1.01 ? 11 : -2);
  const taken = new Uint8Array((Math.ceil(area.width / 2) + 2) * (panel.tall + 2));
  for (let i = 0; i < ops.count; i++) {
    if (!passes[i] || ops.from[i] < view.from || ops.from[i] > view.until || ops.isOpen(i)) continue;
    const x = xOf(ops.from[i]), y = yOf((ops.until[i] - ops.from[i]) * 1000), cell = Math.floor((x - area.left) / 2) * (panel.tall + 2) + Math.round(y - panel.top);
    if (taken[cell]) continue;
    taken[cell] = 1;
    ink.fillStyle = colours[OUTCOMES[ops.outcome[i]]];
    ink.fillRect(x - 1, y - 1, 2, 2);
  }
  steps(data.latency_ms.p50, yOf, colours.ink, []);
  steps(data.latency_ms.p99, yOf, colours.ink, [2, 3]);
}
function drawRates(panel) {
  const top = Math.max(1, ...Object.values(data.per_s).flat()), yOf = (rate) => panel.top + panel.tall * (1 - rate / top);
  grid(yOf(0), "0");
  grid(yOf(top), String(Math.round(top)), 11);
  OUTCOMES.forEach((name, kind) => steps(data.per_s[name], yOf, colours[name], [[], [5, 3], [2, 3]][kind], 1.6));
}
function grid(y, text, below = -2) {
  ink.fillStyle = colours.line;
  ink.fillRect(area.left, y, area.width, 1);
  label(text, area.left + 3, y + below, colours.soft, "10px system-ui, sans-serif");
}
function steps(values, yOf, colour, dash, width = 1.2) {
  ink.strokeStyle = colour;
  ink.lineWidth = width;
  ink.setLineDash(dash);
  ink.beginPath();
  let down = false;
  (values || []).forEach((value, at) => {
    if (value === null) { down = false; return; }
    const middle = data.middle_s[at], left = xOf(middle - data.bucket_s / 2), right = xOf(middle + data.bucket_s / 2);
    if (right < area.left - 5 || left > area.left + area.width + 5) { down = false; return; }
    if (down) ink.lineTo(left, yOf(value)); else ink.moveTo(left, yOf(value));
    ink.lineTo(right, yOf(value));
    down = true;
  });
  ink.stroke();
  ink.setLineDash([]);
}
function drawClocks(panel) {
  const all = Object.values(data.clocks).flatMap((host) => host.offset_ms), top = Math.max(1, ...all.map(Math.abs)), yOf = (ms) => panel.top + panel.tall * (0.5 - ms / top / 2);
  grid(yOf(0), "0");
  label(`± ${+top.toPrecision(2)}`, area.left + 3, panel.top + 8, colours.soft, "10px system-ui, sans-serif");
  Object.entries(data.clocks).forEach(([host, line], number) => {
    ink.strokeStyle = colours.leader;
    ink.setLineDash([[], [6, 3], [2, 2], [8, 2, 2, 2], [1, 3]][number % 5]);
    ink.beginPath();
    line.at.forEach((at, i) => ink[i ? "lineTo" : "moveTo"](xOf(at), yOf(line.offset_ms[i])));
    ink.stroke();
    const last = line.at.length - 1;
    if (last >= 0) label(host, xOf(line.at[last]) + 3, yOf(line.offset_ms[last]) + 3, colours.soft, "10px system-ui, sans-serif");
  });
  ink.setLineDash([]);
}

function drawCursor() {
  if (view.cursor === null || view.cursor < view.from || view.cursor > view.until) return;
  const x = xOf(view.cursor);
  ink.fillStyle = colours.cursor;
  ink.fillRect(x - 0.75, PADDING, 1.5, area.bottom - PADDING);
  label(clock(view.cursor), Math.min(x + 4, area.left + area.width - 60), area.bottom - 4, colours.cursor, "600 11px system-ui, sans-serif");
}

// The operation that lies under a point, preferring those of witnesses; -1 if there is none.
function operationAt(x, y) {
  const panel = panels.find((one) => one.draw === drawOperations), row = Math.floor((y - panel.top) / lanePitch);
  if (row < 0 || row >= data.lanes.length) return -1;
  const reach = (5 / area.width) * (view.until - view.from), at = secondsAt(x);
  let best = -1, nearest = Infinity;
  for (let i = 0; i < ops.count; i++) {
    if (ops.lane[i] !== row || !passes[i] || ops.until[i] < at - reach || ops.from[i] > at + reach) continue;
    const distance = Math.max(0, ops.from[i] - at, at - ops.until[i]) - (ops.proof[i] ? reach : 0);
    if (distance < nearest) { best = i; nearest = distance; }
  }
  return best;
}
