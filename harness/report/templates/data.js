// The page's data and state: operations in typed columns, what is in view, what the filter lets through. Every change calls the listeners once a frame.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const OUTCOMES = ["ok", "info", "fail"];
const LEVELS = ["info", "warning", "error"];
const $ = (id) => document.getElementById(id);

function sums(differences) {
  const found = new Float64Array(differences.length);
  let sum = 0;
  differences.forEach((step, at) => { found[at] = sum += step; });
  return found;
}

// Times in seconds. An operation that was never answered lasts until the end of the run.
const ops = (() => {
  const raw = data.ops, index = sums(raw.index), from = sums(raw.at).map((us) => us / 1e6);
  const until = from.map((at, i) => (raw.took[i] < 0 ? data.end_s : at + raw.took[i] / 1e6));
  const proof = new Uint8Array(index.length);
  for (const at of raw.proof) proof[at] = 1;
  return { count: index.length, index, from, until, proof, proven: raw.proof, lane: Int32Array.from(raw.lane), outcome: Uint8Array.from(raw.outcome),
    isOpen: (i) => raw.took[i] < 0, text: (i) => raw.heads[raw.head[i]] + raw.rest[i], node: (i) => raw.nodes[raw.node[i]],
    error: (i) => raw.errors[raw.error[i]], workload: (i) => raw.workloads[raw.workload[i]], process: (i) => raw.processes[raw.process[i]],
    workloads: raw.workloads };
})();
const opOf = new Map(ops.proven.map((at) => [ops.index[at], at]));

const lines = (() => {
  const raw = data.lines;
  return { count: raw.text.length, at: raw.at.map((us) => (us === null ? null : us / 1e6)), text: raw.text, level: raw.level,
    node: (i) => raw.nodes[raw.node[i]], source: (i) => raw.sources[raw.source[i]], nodes: raw.nodes };
})();

const view = { from: 0, until: data.end_s, cursor: null, op: -1 };
const filter = { text: "", node: "", workload: "", outcomes: [true, true, true], proof: false };
const passes = new Uint8Array(ops.count).fill(1);

function applyFilter() {
  const wanted = filter.text.toLowerCase();
  for (let i = 0; i < ops.count; i++) {
    passes[i] = filter.outcomes[ops.outcome[i]] && (!filter.proof || ops.proof[i]) && (!filter.node || ops.node(i) === filter.node)
      && (!filter.workload || ops.workload(i) === filter.workload)
      && (!wanted || `${ops.text(i)} ${ops.error(i)} process ${ops.process(i)} ${ops.index[i]}`.toLowerCase().includes(wanted)) ? 1 : 0;
  }
  changed();
}

const listeners = [];
let waiting = false;
function changed() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    for (const listener of listeners) listener();
  });
}

const SHORTEST_S = 20e-6;
function show(from, until) {
  const length = Math.min(data.end_s, Math.max(SHORTEST_S, until - from));
  view.from = Math.max(0, Math.min(data.end_s - length, from));
  view.until = view.from + length;
  changed();
}
function zoom(factor, about = view.cursor ?? (view.from + view.until) / 2) {
  const fixed = Math.min(view.until, Math.max(view.from, about));
  show(fixed - (fixed - view.from) * factor, fixed + (view.until - fixed) * factor);
}
function pan(share) {
  const step = (view.until - view.from) * share;
  show(view.from + step, view.until + step);
}
function moveTo(at, op = -1) {
  view.cursor = Math.max(0, Math.min(data.end_s, at));
  view.op = op;
  if (view.cursor < view.from || view.cursor > view.until) {
    const half = (view.until - view.from) / 2;
    show(view.cursor - half, view.cursor + half);
  }
  changed();
}

const seconds = (s) => (s < 1e-3 ? (s * 1e6).toPrecision(3) + " µs" : s < 1 ? (s * 1000).toPrecision(3) + " ms" : s.toFixed(3) + " s");
const clock = (s) => s.toFixed(3).replace(/^-(?=0\.000$)/, "") + " s";
const outcome = (i) => OUTCOMES[ops.outcome[i]] + (ops.error(i) ? ` (${ops.error(i)})` : "");

// Elements are made from text only: nothing that a client or a node wrote is ever read as markup.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// What holds at a moment: leaders by their own traces, nodes that a fault stopped, active faults, directions that a partition drops.
function sceneAt(at) {
  const spans = data.spans.filter(([, from, until]) => from <= at && at < until);
  const faults = data.faults.filter((fault) => fault.start <= at && at < fault.healed);
  const dropped = new Set(faults.filter((fault) => fault.injected <= at && at < fault.heal).flatMap((fault) => fault.edges.map(([a, b]) => a + "\n" + b)));
  const voters = data.voters.filter(([from, until]) => from <= at && at < until);
  return { voters, leaders: spans.filter((span) => span[4] !== null), stopped: spans.filter((span) => span[4] === null), faults, dropped };
}
