// What belongs to the moment of the cursor: the state of the cluster, the chosen operation, the lines that nodes wrote, the operations in view.
"use strict";
const SHOWN_LINES = 160, SHOWN_OPS = 100;
const jump = (at, text, op = -1) => element("button", { type: "button", class: "at", onclick: () => moveTo(at, op) }, text);

function describeMoment(at) {
  const scene = sceneAt(at);
  const facts = [
    ["leading", scene.leaders.map(([node, , , , term]) => `${node} (term ${term})`).join(", ") || (data.spans.some((span) => span[4] !== null) ? "no node" : "")],
    ["stopped", scene.stopped.map(([node, , , state]) => `${node} ${state}`).join(", ")],
    ["voters", scene.voters.map(([, , , voters]) => voters).join("")],
    ["faults", scene.faults.map((fault) => `${fault.kind} ${fault.text}`).join("; ") || "none active"],
  ];
  return { scene, facts: facts.filter(([, text]) => text) };
}

function drawMoment() {
  const panel = $("moment");
  if (view.cursor === null) return;
  const { scene, facts } = describeMoment(view.cursor), op = view.op;
  const list = element("dl", { class: "pairs" });
  const add = (name, text) => list.append(element("dt", {}, name), element("dd", {}, text));
  if (op >= 0) {
    add("operation", ops.text(op));
    add("outcome", `${outcome(op)}, ${ops.isOpen(op) ? "never answered" : "after " + seconds(ops.until[op] - ops.from[op])}`);
    add("by", `process ${ops.process(op)}${ops.node(op) ? " at " + ops.node(op) : ""}, index ${ops.index[op]}${ops.proof[op] ? ", part of a witness" : ""}`);
  }
  for (const [name, text] of facts) add(name, text);
  panel.replaceChildren(element("h3", {}, "At " + clock(view.cursor)), list);
  if (data.nodes.length > 1 && data.nodes.length <= 12) panel.append(graph(scene));
  stage.setAttribute("aria-valuenow", view.cursor.toFixed(3));
  stage.setAttribute("aria-valuetext", `${clock(view.cursor)}. ${[...list.children].map((one) => one.textContent + (one.tagName === "DT" ? ":" : ".")).join(" ")}`);
}

// Which nodes reach which: a line for both ways, an arrow where one way is dropped, nothing where both are.
function graph(scene) {
  const NS = "http://www.w3.org/2000/svg", size = 220, middle = size / 2, radius = 66;
  const make = (name, attributes, text) => {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  };
  const dropped = (a, b) => scene.dropped.has(a + "\n" + b), at = new Map();
  data.nodes.forEach((node, i) => at.set(node, [middle + radius * Math.sin((2 * Math.PI * i) / data.nodes.length), middle - radius * Math.cos((2 * Math.PI * i) / data.nodes.length)]));
  const cut = data.nodes.flatMap((a) => data.nodes.filter((b) => a < b && (dropped(a, b) || dropped(b, a))).map((b) => (dropped(a, b) && dropped(b, a) ? `${a} and ${b} cannot reach each other` : dropped(a, b) ? `${a} cannot reach ${b}` : `${b} cannot reach ${a}`)));
  const svg = make("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", class: "graph", "aria-label": cut.length ? cut.join("; ") : "All nodes can reach each other" });
  svg.append(make("defs", {}));
  svg.firstChild.append(make("marker", { id: "tip", viewBox: "0 0 8 8", refX: 22, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }));
  svg.querySelector("marker").append(make("path", { d: "M0 0L8 4L0 8z", class: "tip" }));
  for (const a of data.nodes) for (const b of data.nodes) {
    if (a === b || dropped(a, b) || (!dropped(b, a) && a > b)) continue;
    const [[x1, y1], [x2, y2]] = [at.get(a), at.get(b)];
    svg.append(make("line", { x1, y1, x2, y2, class: dropped(b, a) ? "one-way" : "link", ...(dropped(b, a) && { "marker-end": "url(#tip)" }) }));
  }
  for (const node of data.nodes) {
    const [x, y] = at.get(node), led = scene.leaders.find((span) => span[0] === node), stopped = scene.stopped.some((span) => span[0] === node);
    svg.append(make("circle", { cx: x, cy: y, r: 17, class: stopped ? "stopped" : led ? "leads" : "node" }));
    if (led) svg.append(make("circle", { cx: x, cy: y, r: 21, class: "ring" }));
    svg.append(make("text", { x, y: y + 4, class: stopped || led ? "on-dark" : "" }, node.length > 5 ? node.slice(0, 4) + "…" : node));
    if (led || stopped) svg.append(make("text", { x, y: y + (y > middle ? 34 : -26), class: "small" }, stopped ? "stopped" : `term ${led[4]}`));
  }
  return svg;
}

const logFilter = { text: "", node: "", level: 0 };
function drawLines() {
  const wanted = logFilter.text.toLowerCase(), at = view.cursor ?? view.from, found = [];
  for (let i = 0; i < lines.count; i++) {
    if (lines.level[i] >= logFilter.level && (!logFilter.node || lines.node(i) === logFilter.node) && (!wanted || `${lines.text[i]} ${lines.source(i)}`.toLowerCase().includes(wanted))) found.push(i);
  }
  // Lines are in the order of time, those without one last.
  let nearest = found.findIndex((i) => lines.at[i] !== null && lines.at[i] > at);
  if (nearest < 0) nearest = found.filter((i) => lines.at[i] !== null).length;
  const first = Math.max(0, Math.min(nearest - SHOWN_LINES / 2, found.length - SHOWN_LINES)), shown = found.slice(first, first + SHOWN_LINES);
  const closest = view.cursor === null ? -1 : shown.reduce((best, i) => (lines.at[i] !== null && (best < 0 || gap(i, at) < gap(best, at)) ? i : best), -1);
  $("log").replaceChildren(...shown.map((i) => lineRow(i, i === closest)));
  $("log-count").textContent = found.length === shown.length ? `${found.length} lines` : `${shown.length} of ${found.length} lines, the ones nearest to ${clock(at)}`;
  const row = $("log").querySelector(".nearest");
  if (row) $("log-box").scrollTop = Math.max(0, row.offsetTop - $("log-box").clientHeight / 2);
}
const chosenNode = () => (view.op >= 0 ? ops.node(view.op) : "");
const gap = (i, at) => Math.abs(lines.at[i] - at) + (chosenNode() && lines.node(i) !== chosenNode() ? 1e6 : 0);
function lineRow(i, isNearest) {
  const level = LEVELS[lines.level[i]], at = lines.at[i];
  return element("li", { class: `${level}${isNearest ? " nearest" : ""}`, ...(isNearest && { "aria-current": "true" }) },
    at === null ? element("span", { class: "at none" }, "no time") : jump(at, clock(at)), element("b", {}, lines.node(i)), element("span", { class: "level" }, level === "info" ? "" : level),
    element("span", { class: "text" }, lines.text[i]), element("span", { class: "soft source" }, lines.source(i) === "trace" ? "" : lines.source(i)));
}

function drawOps() {
  if (!$("ops").open) return;
  const rows = [];
  let count = 0;
  for (let i = 0; i < ops.count; i++) {
    if (!passes[i] || ops.until[i] < view.from || ops.from[i] > view.until) continue;
    if (count++ < SHOWN_OPS) rows.push(i);
  }
  $("ops-rows").replaceChildren(...rows.map((i) => element("tr", { class: ops.proof[i] ? "proof" : "" }, element("td", { class: "number" }, String(ops.index[i])), element("td", {}, jump(ops.from[i], clock(ops.from[i]), i)),
    element("td", { class: "mono" }, ops.text(i)), element("td", {}, outcome(i)), element("td", { class: "number" }, ops.isOpen(i) ? "no answer" : seconds(ops.until[i] - ops.from[i])), element("td", {}, ops.process(i)), element("td", {}, ops.node(i)))));
  $("ops-count").textContent = count > SHOWN_OPS ? `the first ${SHOWN_OPS} of ${count}; zoom in or filter to see others` : `${count}`;
}

listeners.push(drawMoment, drawLines, drawOps);
