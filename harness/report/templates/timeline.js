// The timeline's hands: drag to zoom, click for a moment, wheel with Ctrl, and every one of them on the keyboard.
"use strict";
const stage = $("timeline"), selection = $("selection"), hint = $("hint");
const MOVES = { ArrowLeft: -1 / 100, ArrowRight: 1 / 100, ArrowDown: -1 / 100, ArrowUp: 1 / 100, PageDown: -1 / 10, PageUp: 1 / 10 };
let dragged = null;

const place = (event) => {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
};

stage.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  dragged = { ...place(event), moved: false };
  stage.setPointerCapture(event.pointerId);
});
stage.addEventListener("pointermove", (event) => {
  const at = place(event);
  if (dragged === null) {
    hover(at);
    return;
  }
  if (Math.abs(at.x - dragged.x) > 5) dragged.moved = true;
  if (!dragged.moved) return;
  hint.hidden = true;
  selection.hidden = false;
  selection.style.left = Math.min(at.x, dragged.x) + "px";
  selection.style.width = Math.abs(at.x - dragged.x) + "px";
});
stage.addEventListener("pointerup", (event) => {
  if (dragged === null) return;
  const at = place(event), from = dragged;
  dragged = null;
  selection.hidden = true;
  if (from.moved) {
    show(secondsAt(Math.max(area.left, Math.min(at.x, from.x))), secondsAt(Math.max(at.x, from.x)));
    return;
  }
  const op = operationAt(at.x, at.y);
  moveTo(op < 0 ? secondsAt(Math.max(area.left, at.x)) : ops.from[op], op);
});
stage.addEventListener("pointercancel", () => { dragged = null; selection.hidden = true; });
stage.addEventListener("pointerleave", () => { hint.hidden = true; });
stage.addEventListener("dblclick", () => show(0, data.end_s));
stage.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
  event.preventDefault();
  if (event.shiftKey) pan(Math.sign(event.deltaY || event.deltaX) / 8);
  else zoom(event.deltaY > 0 ? 1.25 : 0.8, secondsAt(place(event).x));
}, { passive: false });

function hover({ x, y }) {
  const op = x < area.left ? -1 : operationAt(x, y), fault = op < 0 ? faultAt(x, y) : null;
  hint.hidden = op < 0 && !fault;
  if (hint.hidden) return;
  hint.textContent = op < 0 ? `${fault.kind}: ${fault.text}; ${clock(fault.injected)} to ${clock(fault.heal)}${fault.verified ? "" : "; not verified"}`
    : `${ops.text(op)}: ${outcome(op)}, ${ops.isOpen(op) ? "never answered" : seconds(ops.until[op] - ops.from[op])}; process ${ops.process(op)}${ops.node(op) ? " at " + ops.node(op) : ""}, index ${ops.index[op]}`;
  hint.style.left = Math.max(0, Math.min(x + 12, stage.clientWidth - Math.min(360, stage.clientWidth))) + "px";
  hint.style.top = y + 14 + "px";
}
function faultAt(x, y) {
  const panel = panels.find((one) => one.draw === drawFaults);
  if (!panel || y < panel.top || y > panel.top + panel.tall) return null;
  const kind = FAULT_KINDS[Math.floor((y - panel.top) / 18)], at = secondsAt(x), reach = (3 / area.width) * (view.until - view.from);
  return data.faults.find((one) => one.kind === kind && one.start - reach <= at && at <= one.healed + reach) || null;
}

function nextProof(direction) {
  const at = view.op >= 0 ? ops.from[view.op] : view.cursor ?? view.from;
  const order = ops.proven.filter((i) => (direction > 0 ? ops.from[i] > at || (ops.from[i] === at && i > view.op) : ops.from[i] < at || (ops.from[i] === at && i < view.op)));
  const op = direction > 0 ? order[0] : order[order.length - 1];
  if (op !== undefined) moveTo(ops.from[op], op);
}

const KEYS = {
  Home: () => moveTo(0), End: () => moveTo(data.end_s), "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: () => show(0, data.end_s),
  n: () => nextProof(1), p: () => nextProof(-1),
};
stage.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = MOVES[event.key];
  if (step !== undefined) moveTo((view.cursor ?? view.from) + step * (view.until - view.from));
  else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
});

const BUTTONS = { "zoom-in": () => zoom(0.5), "zoom-out": () => zoom(2), earlier: () => pan(-0.5), later: () => pan(0.5), whole: () => show(0, data.end_s), "next-proof": () => nextProof(1) };
for (const [id, act] of Object.entries(BUTTONS)) $(id).addEventListener("click", act);
if (!ops.proven.length) $("next-proof").hidden = true;

listeners.push(() => {
  draw();
  $("range").textContent = `${clock(view.from)} to ${clock(view.until)} of ${clock(data.end_s)}`;
});
