"use strict";
// Shows the events of the gateway. Everything that comes from clients (URLs,
// tags) is put on the page as text, never as HTML.

const $ = id => document.getElementById(id);
const points = [];

const OUTCOMES = ["hit", "stale", "revalidated", "collapsed", "miss", "bypass", "none"];
const NAMES = { none: "no cache" };
const MEMORY = ["live", "dead", "index", "free"];

const number = n => n >= 1e6 ? (n / 1e6).toFixed(2) + " M" : n >= 1e4 ? (n / 1e3).toFixed(1) + " k" : n >= 100 || Number.isInteger(n) ? String(Math.round(n)) : n.toFixed(1);
const bytes = n => {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]])
    if (n >= size) return (n / size).toFixed(n >= 100 * size ? 0 : 1) + " " + unit;
  return n + " B";
};
const micros = us => us >= 1e6 ? (us / 1e6).toFixed(2) + " s" : us >= 1e3 ? (us / 1e3).toFixed(us >= 1e5 ? 0 : 1) + " ms" : Math.round(us) + " µs";
const percent = r => r >= .9995 ? "100 %" : (r * 100).toFixed(1) + " %";
const duration = s => s >= 86400 ? Math.floor(s / 86400) + " d" : s >= 3600 ? Math.floor(s / 3600) + " h" : s >= 60 ? Math.floor(s / 60) + " min" : Math.floor(s) + " s";

function text(id, value) { if ($(id).textContent !== value) $(id).textContent = value; }

// rows fills a table's body. Cells are texts, {text, cls} or DOM nodes. Rows and
// buttons stay in place while they are the same, so that they can be clicked.
function rows(id, list, empty) {
  const body = $(id);
  const key = JSON.stringify(list, (k, v) => v instanceof Function ? undefined : v);
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  const old = Array.from(body.rows);
  (list.length ? list : [[{ text: empty, cls: "wait", span: 9 }]]).forEach((cells, i) => {
    let row = old[i];
    if (!row || row.cells.length !== cells.length) {
      const fresh = document.createElement("tr");
      cells.forEach(() => fresh.append(document.createElement("td")));
      if (row) row.replaceWith(fresh); else body.append(fresh);
      row = fresh;
    }
    cells.forEach((cell, j) => fill(row.cells[j], cell));
  });
  while (body.rows.length > Math.max(1, list.length)) body.lastElementChild.remove();
}

function fill(td, cell) {
  if (cell.purge) {
    let button = td.querySelector("button");
    if (!button) {
      button = document.createElement("button");
      button.className = "small";
      button.textContent = "purge";
      td.replaceChildren(button);
    }
    const below = cell.purge.kind === "prefix" ? " and everything that begins so" : "";
    button.title = "Purge " + cell.purge.value + below;
    button.setAttribute("aria-label", button.title);
    button.onclick = () => { if (!below || confirm(button.title + "?")) purge({ [cell.purge.kind]: cell.purge.value }); };
    return;
  }
  const value = cell.text === undefined ? cell : cell.text;
  if (td.textContent !== value) td.textContent = value;
  td.className = cell.cls || "";
  td.colSpan = cell.span || 1;
  td.title = cell.cls === "name" ? value : "";
}

function legend(id, entries) {
  $(id).replaceChildren(...entries.map(([name, colorName]) => {
    const s = document.createElement("span");
    s.textContent = name;
    s.style.setProperty("--c", "var(--" + colorName + ")");
    return s;
  }));
}

function show(tick) {
  const p = tick.point, recent = points.slice(-10);
  const sum = f => recent.reduce((a, q) => a + f(q), 0);
  const asked = sum(q => q.asked);
  text("ratio", asked > 0 ? percent(sum(q => q.saved) / asked) : "–");
  text("requests", number(sum(q => q.requests) / Math.max(1, recent.length)));
  text("requests-sub", "a second · " + bytes(Math.round(p.bytes)) + "/s");
  text("hit-latency", p.hits.n ? micros(p.hits.p50) : "–");
  text("miss-latency", p.other.n ? micros(p.other.p50) : "–");
  text("used", bytes(tick.cache.bytes.live + tick.cache.bytes.dead + tick.cache.bytes.index));
  text("used-sub", "of a budget of " + bytes(tick.cache.max));
  text("entries", number(tick.cache.entries));
  text("entries-sub", number(tick.cache.sets.rate) + " stored a second");
  text("uptime", "up " + duration(tick.uptime));

  MEMORY.forEach((state, i) => {
    $("memory").children[i].style.width = (100 * tick.cache.bytes[state] / tick.cache.max) + "%";
    text("memory-" + state, state + " " + bytes(tick.cache.bytes[state]));
  });
  const latencies = [["all", p.all], ["from cache", p.hits], ["upstream", p.other]];
  rows("percentiles", latencies.map(([name, l]) => [name, ...["p50", "p90", "p99", "p999"].map(k => l.n ? micros(l[k]) : "–")]));
  rows("removed", Object.entries(tick.cache.removed).map(([reason, r]) => [reason, number(r.total), number(r.rate)]));
  rows("routes", (tick.routes || []).slice().sort((a, b) => b.total - a.total).map(r => [
    { text: r.name, cls: "name" }, number(r.requests), number(r.total), r.ratio < 0 ? "–" : percent(r.ratio), bytes(r.bytes),
    { text: number(r.errors), cls: r.errors ? "bad" : "" }]), "no requests yet");
  rows("paths", (tick.paths || []).map(e => [{ text: e.name, cls: "name" }, number(e.count), { purge: { kind: "prefix", value: "http://" + e.name } }]), "no requests yet");
  rows("tags", (tick.tags || []).map(e => [{ text: e.name, cls: "name" }, number(e.count), { purge: { kind: "tag", value: e.name } }]), "no response had a Surrogate-Key yet");
  rows("upstreams", (tick.upstreams || []).map(u => [
    { text: u.pool + " · " + u.target, cls: "name" }, { text: u.state, cls: u.state === "up" ? "good" : "bad" }, number(u.in_flight), number(u.requests),
    { text: number(u.failures), cls: u.failures ? "bad" : "" }]), "none");
  draw();
}

function draw() {
  chart($("chart-requests"), points, OUTCOMES.map(o => ({ color: o, value: p => p.outcomes[o] || 0 })), { stacked: true, label: number });
  chart($("chart-ratio"), points, [{ color: "hit", value: p => p.asked > 0 ? p.saved / p.asked : null }], { max: 1, label: v => Math.round(v * 100) + " %" });
  chart($("chart-latency"), points, [
    { color: "hit", value: p => p.hits.n ? p.hits.p50 : null },
    { color: "revalidated", value: p => p.hits.n ? p.hits.p99 : null },
    { color: "miss", value: p => p.other.n ? p.other.p50 : null }], { log: true, label: micros });
}

async function purge(what) {
  const form = new URLSearchParams(what);
  form.set("mode", $("purge").elements.soft.checked ? "soft" : "hard");
  const words = Object.entries(what).map(([k, v]) => k === "all" ? "everything" : k + " " + v).join(", ");
  try {
    const answer = await fetch("purge", { method: "POST", body: form });
    const result = await answer.json().catch(() => ({}));
    text("purged", answer.ok ? "Purged (" + form.get("mode") + "): " + words : "Not purged: " + (result.error || answer.statusText));
  } catch (e) {
    text("purged", "Not purged: " + e.message);
  }
}

function connect() {
  const source = new EventSource("events");
  const pill = (cls, word) => { $("link").className = "pill " + cls; text("link", word); };
  source.addEventListener("history", e => { points.splice(0, points.length, ...JSON.parse(e.data)); pill("live", "live"); });
  source.addEventListener("tick", e => {
    const tick = JSON.parse(e.data);
    if (!points.length || points[points.length - 1].at < tick.point.at) points.push(tick.point);
    if (points.length > WINDOW) points.shift();
    show(tick);
  });
  source.onerror = () => pill("lost", "connection lost, trying again");
}

for (const state of MEMORY) {
  const part = document.createElement("i");
  part.style.background = "var(--" + state + ")";
  $("memory").append(part);
}
legend("legend-requests", OUTCOMES.map(o => [NAMES[o] || o, o]));
legend("legend-latency", [["cache p50", "hit"], ["cache p99", "revalidated"], ["upstream p50", "miss"]]);
legend("legend-memory", MEMORY.map(s => [s, s]));
MEMORY.forEach((s, i) => { $("legend-memory").children[i].id = "memory-" + s; });
$("purge").addEventListener("submit", e => {
  e.preventDefault();
  const f = e.target.elements;
  if (f.value.value.trim()) purge({ [f.kind.value]: f.value.value.trim() });
});
$("purge-all").addEventListener("click", () => { if (confirm("Purge every stored response?")) purge({ all: "true" }); });
window.addEventListener("resize", draw);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
connect();
