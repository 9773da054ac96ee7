// The drains, worst first, with their lag over the last 15 minutes.

import { bytes, duration } from "./text.js";

const POINTS = 180;
const history = new Map(); // name: lags, one for each look

export function colourOf(row) {
  if (/fail|suspend|held/.test(row.state) || (row.state === "waiting" && row.last_error))
    return "red";
  return row.lag_seconds > 30 || /wait|connect/.test(row.state) || losses(row).length ? "amber" : "green";
}

function losses(row) {
  return Object.entries(row.counters).filter(([k, n]) => k.startsWith("lost_") && k !== "lost_known" && n > 0);
}

const RANK = { red: 0, amber: 1, green: 2 };

export function worst(rows) {
  return rows.map(colourOf).sort((a, b) => RANK[a] - RANK[b])[0] ?? "none";
}

function remember(rows) {
  const there = new Set(rows.map((r) => r.name));
  for (const name of history.keys()) {
    if (!there.has(name))
      history.delete(name);
  }
  for (const r of rows) {
    const lags = history.get(r.name) ?? [];
    lags.push(r.lag_bytes);
    history.set(r.name, lags.slice(-POINTS));
  }
}

function element(name, className, text) {
  const e = document.createElement(name);
  e.className = className;
  e.textContent = text ?? "";
  return e;
}

function plot(lags) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  const most = Math.max(1, ...lags);
  svg.setAttribute("viewBox", `0 0 ${POINTS} 24`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `lag, at most ${bytes(Math.max(...lags))}`);
  line.setAttribute("points", lags.map((lag, i) => `${POINTS - lags.length + i},${23 - (22 * lag) / most}`).join(" "));
  svg.append(line);
  return svg;
}

function card(r) {
  const box = element("article", `drain ${colourOf(r)}`);
  const head = element("h3", "");
  head.append(element("span", `dot ${colourOf(r)}`), element("span", "name", r.name));
  head.title = `${r.name}\n${r.promise}`;
  const facts = [
    ["state", r.state],
    ["asked for by", r.asked_by === "workload" ? `workloads of ${r.namespace ?? "several namespaces"}` : "the operator"],
    ["behind", r.lag_bytes ? `${bytes(r.lag_bytes)}, ${duration(r.lag_seconds)}` : "nothing"],
    ["sent", `${r.counters.records_out} lines, ${bytes(r.counters.bytes_out)}`],
  ];
  if (r.seconds_to_loss !== null)
    facts.push(["loses lines in", duration(r.seconds_to_loss)]);
  for (const [k, n] of losses(r))
    facts.push([k.replaceAll("_", " "), bytes(n)]);
  if (r.last_error)
    facts.push(["last error", r.last_error]);
  const list = element("dl", "");
  for (const [k, v] of facts)
    list.append(element("dt", "", k), element("dd", "", v));
  box.append(head, plot(history.get(r.name) ?? [0]), list);
  return box;
}

export function showDrains(into, rows) {
  remember(rows);
  if (!rows.length) {
    into.replaceChildren(element("p", "small", "None that this token may see."));
    return;
  }
  const order = [...rows].sort((a, b) => RANK[colourOf(a)] - RANK[colourOf(b)] || b.lag_bytes - a.lag_bytes || a.name.localeCompare(b.name));
  into.replaceChildren(...order.slice(0, 200).map(card));
}
