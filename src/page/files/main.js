// Puts the parts together: what is asked for, what is shown, and the keys.

import { colourOf, showDrains, worst } from "./drains.js";
import { Lines } from "./lines.js";
import { Refused, Tail, objects, setToken } from "./tail.js";
import { LEVELS, filterOf, visible } from "./text.js";
import { readView, writeView } from "./view.js";

const $ = (id) => document.getElementById(id);
const LOOK_MS = 5000, HISTORY = "500";

let view = readView();
let tail = null;
let drains = [];
let streams = [];
let looking = null;

const lines = new Lines($("lines"), $("space"), $("rows"), showFollow, showDetail);

// --- what is shown

function say(text, error = false) {
  $("state").textContent = text;
  $("state").className = error ? "error" : "";
}

function showFollow() {
  $("follow").textContent = lines.follow ? "Pause" : "Follow";
  $("follow").setAttribute("aria-pressed", String(lines.follow));
  $("more").hidden = lines.follow || !lines.unseen;
  $("more").textContent = `${lines.unseen} new lines ↓`;
}

function applyFilter() {
  const filter = filterOf(view.filter);
  $("filter").setCustomValidity(filter.error);
  $("filter").classList.toggle("wrong", Boolean(filter.error));
  lines.accepts = (l) => view.levels.has(l.level) && filter.accepts(l.text);
  lines.times = view.times;
  lines.refilter();
  writeView(view);
}

function showLevels() {
  $("levels").replaceChildren(...LEVELS.map((level) => {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.className = `chip ${level}`;
    chip.textContent = level;
    chip.setAttribute("aria-pressed", String(view.levels.has(level)));
    chip.addEventListener("click", () => {
      view.levels.has(level) ? view.levels.delete(level) : view.levels.add(level);
      showLevels();
      applyFilter();
    });
    return chip;
  }));
}

function addFilter(text) {
  const quoted = /^[^\s"/-][^\s"]*$/.test(text) ? text : `"${text.replaceAll('"', " ")}"`;
  view.filter = `${view.filter} ${quoted}`.trim();
  $("filter").value = view.filter;
  applyFilter();
}

// The pairs of an object; a click on a value makes a filter of it.
function pairs(object, depth) {
  const list = document.createElement("dl");
  for (const [key, value] of Object.entries(object).slice(0, 200)) {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = visible(key);
    if (value && typeof value === "object" && depth < 6) {
      dd.append(pairs(value, depth + 1));
    } else {
      const b = document.createElement("button");
      b.type = "button";
      b.className = "value";
      b.textContent = visible(typeof value === "string" ? value : JSON.stringify(value));
      b.title = "Show only lines with this";
      b.addEventListener("click", () => addFilter(typeof value === "string" ? value : JSON.stringify(value)));
      dd.append(b);
    }
    list.append(dt, dd);
  }
  return list;
}

function showDetail(line) {
  const box = $("detail");
  box.hidden = !line;
  box.replaceChildren();
  if (!line)
    return;
  const { message, id, ...rest } = line.event;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "close";
  close.textContent = "Close";
  close.addEventListener("click", () => lines.choose(line));
  const text = document.createElement("pre");
  text.textContent = visible(line.text);
  box.append(close, line.object ? pairs(line.object, 0) : text, pairs(rest, 0));
}

function workloads() {
  const all = new Map();
  for (const s of streams) {
    const w = all.get(s.name) ?? { name: s.name, namespace: s.namespace ?? "", pods: new Set(), open: false };
    w.pods.add(s.pod ?? s.hostname);
    w.open ||= s.state === "open";
    all.set(s.name, w);
  }
  return [...all.values()].sort((a, b) => a.name.localeCompare(b.name));
}

// The drains that workloads of its namespace asked for; where there are none, the operator's.
function drainsOf(w) {
  const own = drains.filter((r) => r.asked_by === "workload" && r.namespace === w.namespace);
  return own.length ? own : drains.filter((r) => r.asked_by === "operator");
}

function item(name, text, title, colour, note) {
  const li = document.createElement("li"), b = document.createElement("button"), dot = document.createElement("span");
  b.type = "button";
  b.setAttribute("aria-current", String(view.workload === name));
  dot.className = `dot ${colour}`;
  dot.title = colour === "none" ? "no drain" : `drains: ${colour}`;
  const label = document.createElement("span");
  label.className = "name";
  label.textContent = visible(text);
  const n = document.createElement("span");
  n.className = "note";
  n.textContent = note;
  b.title = title;
  b.append(dot, label, n);
  b.addEventListener("click", () => {
    view.workload = name;
    writeView(view);
    start();
    showWorkloads();
  });
  li.append(b);
  return li;
}

function showWorkloads() {
  const all = workloads();
  const items = [item("", "all", "all workloads of this node", worst(drains), String(all.length))];
  for (const w of all.slice(0, 2000))
    items.push(item(w.name, w.name, [...w.pods].join("\n"), worst(drainsOf(w)), w.pods.size > 1 ? `${w.pods.size} pods` : w.open ? "" : "ended"));
  const focused = document.activeElement?.closest?.("#list button")?.querySelector(".name").textContent;
  $("list").replaceChildren(...items);
  if (focused !== undefined)
    [...$("list").querySelectorAll("button")].find((b) => b.querySelector(".name").textContent === focused)?.focus();
  const chosen = all.find((w) => w.name === view.workload);
  showDrains($("rows-of-drains"), chosen ? drainsOf(chosen) : drains);
  document.title = `${drains.some((r) => colourOf(r) === "red") ? "● " : ""}${view.workload || "logtrain"}`;
}

// --- what is asked for

function lost(e) {
  if (e.status === 401) {
    $("login-why").textContent = sessionStorage.getItem("token") ? "That token is not valid." : "";
    if (!$("login").open)
      $("login").showModal();
  } else if (e.status === 403 && !view.namespace) {
    say("This token does not show all namespaces, or no log that fits: name your namespace on the left.", true);
    $("namespace").focus();
  } else {
    say(`${e.status}: ${e.message}`, true);
  }
}

function query() {
  return view.namespace ? { namespace: view.namespace } : {};
}

// Streams tell the workload of a name: its namespace comes last.
function tailQuery() {
  const q = { ...query(), lines: HISTORY, wait: "true" };
  const s = streams.find((one) => one.name === view.workload);
  if (!view.workload)
    return q;
  if (s?.namespace && s.name.endsWith(`.${s.namespace}`))
    return { ...q, namespace: s.namespace, workload: s.name.slice(0, -s.namespace.length - 1) };
  return { ...q, hostname: s?.hostname ?? view.workload };
}

function start() {
  tail?.close();
  lines.clear();
  lines.setFollow(true);
  if (lines.chosenLine)
    lines.choose(lines.chosenLine);
  say("Waiting for lines.");
  tail = new Tail(tailQuery(), (events) => {
    if ($("state").textContent === "Waiting for lines.")
      say("");
    lines.add(events);
  }, (text, error) => {
    if (text)
      say(text, error);
    else if ($("state").className)
      say("");
  }, lost);
}

async function look() {
  clearTimeout(looking);
  try {
    [streams, drains] = await Promise.all([objects("/v1/streams", query()), objects("/v1/drains", query())]);
    showWorkloads();
    if (!tail)
      start();
  } catch (e) {
    if (e instanceof Refused && e.status < 500)
      lost(e);
    else
      say("The server cannot be reached. Trying again.", true);
    if (e instanceof Refused && (e.status === 401 || e.status === 403))
      return; // until there is another token, or namespace
  }
  looking = setTimeout(look, LOOK_MS);
}

function anew() {
  tail?.close();
  tail = null;
  say("");
  look();
}

// --- what is clicked and typed

$("filter").value = view.filter;
$("filter").addEventListener("input", () => {
  view.filter = $("filter").value;
  applyFilter();
});
$("times").value = view.times;
$("times").addEventListener("change", () => {
  view.times = $("times").value;
  applyFilter();
});
$("namespace").value = view.namespace;
$("namespace").addEventListener("change", () => {
  view.namespace = $("namespace").value.trim();
  view.workload = "";
  writeView(view);
  anew();
});
$("follow").addEventListener("click", () => lines.setFollow(!lines.follow));
$("more").addEventListener("click", () => lines.setFollow(true));
$("help").addEventListener("click", () => $("keys").showModal());
$("download").addEventListener("click", () => {
  const a = document.createElement("a");
  a.href = URL.createObjectURL(new Blob([lines.text()], { type: "text/plain" }));
  a.download = `${view.workload || "logtrain"}.log`;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 60000);
});
$("login").addEventListener("cancel", (e) => e.preventDefault());
$("login-form").addEventListener("submit", () => {
  setToken($("token").value);
  $("token").value = "";
  anew();
});
addEventListener("hashchange", () => {
  view = readView();
  $("filter").value = view.filter;
  $("namespace").value = view.namespace;
  $("times").value = view.times;
  showLevels();
  applyFilter();
  anew();
});
addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]"))
    return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? "");
  if (e.key === "Escape") {
    document.activeElement?.blur();
    if (lines.chosenLine)
      lines.choose(lines.chosenLine);
    return;
  }
  if (typing || (e.key === " " && document.activeElement?.tagName === "BUTTON"))
    return;
  const keys = {
    "/": () => $("filter").focus(),
    f: () => lines.setFollow(!lines.follow),
    " ": () => lines.setFollow(!lines.follow),
    g: () => {
      lines.setFollow(false);
      $("lines").scrollTop = 0;
    },
    G: () => lines.setFollow(true),
    "?": () => $("keys").showModal(),
  };
  if (Object.hasOwn(keys, e.key)) {
    e.preventDefault();
    keys[e.key]();
  }
});

showLevels();
applyFilter();
look();
setInterval(() => view.times === "age" && lines.redraw(), 1000);
