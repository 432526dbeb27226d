// Connects the page's own parts: filters, links from witnesses into the timeline, the copy button; then draws for the first time.
"use strict";
function options(select, texts) {
  for (const text of texts) if (text) select.append(element("option", { value: text }, text));
}
function later(act, wait_ms) {
  let timer = 0;
  return () => { clearTimeout(timer); timer = setTimeout(act, wait_ms); };
}

options($("filter-node"), data.nodes);
options($("filter-workload"), ops.workloads);
options($("log-node"), lines.nodes);
const refilter = later(applyFilter, 120);
for (const [id, field] of [["filter-text", "text"], ["filter-node", "node"], ["filter-workload", "workload"]])
  $(id).addEventListener("input", (event) => { filter[field] = event.target.value; refilter(); });
OUTCOMES.forEach((name, kind) => $("show-" + name).addEventListener("change", (event) => { filter.outcomes[kind] = event.target.checked; applyFilter(); }));
$("only-proof").addEventListener("change", (event) => { filter.proof = event.target.checked; applyFilter(); });
$("log-text").addEventListener("input", later(() => { logFilter.text = $("log-text").value; changed(); }, 120));
$("log-node").addEventListener("change", (event) => { logFilter.node = event.target.value; changed(); });
$("log-level").addEventListener("change", (event) => { logFilter.level = Number(event.target.value); changed(); });
$("ops").addEventListener("toggle", changed);
if (!lines.count) $("lines").hidden = true;

// A button of a witness leads to its moment, with its surroundings in view.
for (const button of document.querySelectorAll("button[data-at]")) {
  button.disabled = false;
  button.addEventListener("click", () => {
    const at = Number(button.dataset.at), from = Number(button.dataset.from), until = Number(button.dataset.until), margin = Math.max(0.05, (until - from) * 0.15);
    show(from - margin, until + margin);
    moveTo(at, opOf.get(Number(button.dataset.op)) ?? -1);
    $("timeline-section").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    stage.focus({ preventScroll: true });
  });
}

const copy = $("copy");
if (copy) copy.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("command").textContent);
    copy.textContent = "Copied";
  } catch {
    // A page opened from a file may not be allowed to write the clipboard: select the text instead.
    getSelection().selectAllChildren($("command"));
    copy.textContent = "Selected";
  }
});

stage.setAttribute("aria-valuemax", data.end_s.toFixed(3));
const redraw = () => { readColours(); resize(); changed(); };
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
new ResizeObserver(later(redraw, 60)).observe(stage);
const first = document.querySelector("button[data-at]");
if (first) view.cursor = Number(first.dataset.at);
readColours();
resize();
for (const listener of listeners) listener();
document.documentElement.dataset.drawn = "yes";
