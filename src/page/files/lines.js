// The lines that are kept, and those of them that are shown. Rows are virtual: only those in sight are elements, so that 50,000 lines cost no
// more than 50. Each has the same height.

import { colours, json, levelOf, plain, timeText } from "./text.js";

const KEPT = 50000, TRIM = 5000, ROW = 20, SPARE = 15, SHOWN = 1000;

export class Lines {
  constructor(box, space, rows, changed, chosen) {
    Object.assign(this, { box, space, rows, changed, chosen });
    this.all = [];
    this.shown = [];
    this.accepts = () => true;
    this.times = "local";
    this.drawn = 0; // rows of before the last redraw() are made anew
    this.follow = true;
    this.unseen = 0;
    this.chosenLine = null;
    this.due = false;
    box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(box);
    rows.addEventListener("click", (e) => {
      const row = e.target.closest(".line");
      if (row && getSelection().isCollapsed)
        this.choose(row.line);
    });
  }

  clear() {
    this.all = [];
    this.refilter();
  }

  add(events) {
    for (const event of events) {
      if (event.event === "gap") {
        this.push({ event, gap: true, level: "warn", text: `${event.bytes} bytes are missing here: ${event.reason}` });
      } else if (typeof event.message === "string") {
        const object = json(event.message);
        this.push({ event, object, level: levelOf(event, object), text: plain(event.message) });
      }
    }
    if (this.all.length > KEPT + TRIM)
      this.trim();
    this.drawSoon();
  }

  push(line) {
    line.at = Date.parse(line.event.time ?? "") || (this.all.at(-1)?.at ?? 0);
    insert(this.all, line);
    if (!this.accepts(line))
      return;
    insert(this.shown, line);
    this.unseen += !this.follow;
  }

  // Drops the oldest. What is in sight stays where it is.
  trim() {
    const gone = new Set(this.all.splice(0, this.all.length - KEPT));
    let n = 0;
    while (n < this.shown.length && gone.has(this.shown[n]))
      n++;
    this.shown.splice(0, n);
    if (!this.follow)
      this.box.scrollTop = Math.max(0, this.box.scrollTop - n * ROW);
  }

  refilter() {
    this.shown = this.all.filter((line) => this.accepts(line));
    this.unseen = 0;
    this.redraw();
  }

  setFollow(follow) {
    this.follow = follow;
    if (follow)
      this.unseen = 0;
    this.drawSoon();
  }

  scrolled() {
    const end = this.box.scrollTop + this.box.clientHeight >= this.box.scrollHeight - ROW;
    if (end !== this.follow && this.box.scrollTop !== this.put)
      this.setFollow(end);
    this.drawSoon();
  }

  // All rows: times are told in another way, or are older.
  redraw() {
    this.drawn++;
    this.drawSoon();
  }

  drawSoon() {
    if (this.due)
      return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      this.draw();
    });
  }

  draw() {
    this.space.style.height = `${this.shown.length * ROW}px`;
    if (this.follow) {
      this.box.scrollTop = this.box.scrollHeight;
      this.put = this.box.scrollTop;
    }
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - SPARE);
    const last = Math.min(this.shown.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + SPARE);
    this.rows.style.transform = `translateY(${first * ROW}px)`;
    this.place(this.shown.slice(first, last));
    this.changed();
  }

  // An element stays in the document while its line is in sight, so that a click or a selection is not lost when lines come.
  place(lines) {
    const wanted = new Set(lines);
    for (const row of [...this.rows.children]) {
      if (!wanted.has(row.line) || row.drawn !== this.drawn) {
        row.remove();
        row.line.row = null;
      }
    }
    let next = this.rows.firstChild;
    for (const line of lines) {
      line.row ??= this.row(line);
      line.row.classList.toggle("chosen", line === this.chosenLine);
      if (line.row === next)
        next = next.nextSibling;
      else
        this.rows.insertBefore(line.row, next);
    }
  }

  row(line) {
    const row = document.createElement("div");
    row.className = `line ${line.level}${line.gap ? " gap" : ""}`;
    row.line = line;
    row.drawn = this.drawn;
    const part = (name, text, title) => {
      const span = document.createElement("span");
      span.className = name;
      span.textContent = text;
      if (title)
        span.title = title;
      row.append(span);
      return span;
    };
    part("time", timeText(line.event.time, this.times), line.event.time);
    part(`pod pod${hash(line.event.pod ?? line.event.hostname ?? "") % 6}`, short(line.event), `${line.event.namespace ?? ""} ${line.event.pod ?? line.event.hostname ?? ""}`);
    if (line.gap)
      part("message", line.text);
    else
      colours(part("message", ""), line.event.message, SHOWN);
    return row;
  }

  choose(line) {
    this.chosenLine = line === this.chosenLine ? null : line;
    this.chosen(this.chosenLine);
    this.drawSoon();
  }

  text() {
    return this.shown.map((l) => `${l.event.time ?? ""} ${l.event.hostname ?? ""} ${l.event.tag ?? ""} ${l.text}\n`).join("");
  }
}

// By time: each log comes in its own order, and they do not come in step.
function insert(lines, line) {
  let low = 0, high = lines.length;
  if (!high || lines[high - 1].at <= line.at) {
    lines.push(line);
    return;
  }
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lines[middle].at <= line.at)
      low = middle + 1;
    else
      high = middle;
  }
  lines.splice(low, 0, line);
}

function hash(s) {
  let h = 0;
  for (let i = 0; i < s.length; i++)
    h = (h * 31 + s.charCodeAt(i)) >>> 0;
  return h;
}

// The end of a pod's name tells it from its siblings.
function short(event) {
  const name = event.pod || event.hostname || "";
  return name.length > 18 ? `${name.slice(0, 11)}…${name.slice(-5)}` : name;
}
