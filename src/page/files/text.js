// Pure functions on the text of lines: levels, filters, times, colours. Whatever a line holds is text, never markup.

export const LEVELS = ["error", "warn", "info", "debug"];

const WORDS = {
  fatal: "error", panic: "error", critical: "error", crit: "error", alert: "error", emerg: "error", error: "error", err: "error", severe: "error",
  warning: "warn", warn: "warn", notice: "info", info: "info", information: "info", debug: "debug", trace: "debug", verbose: "debug",
};
const NUMBERED = /^\d+$/;

export function json(message) {
  if (!message.startsWith("{"))
    return null;
  try {
    const value = JSON.parse(message);
    return value && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function ofWord(word) {
  return Object.hasOwn(WORDS, word) ? WORDS[word] : null;
}

// What the line says of itself; else what its sender said.
export function levelOf(event, object) {
  const own = object && (object.level ?? object.severity ?? object.lvl ?? object.levelname);
  if (typeof own === "string" && ofWord(own.toLowerCase()))
    return ofWord(own.toLowerCase());
  if (typeof own === "number" || (typeof own === "string" && NUMBERED.test(own)))
    return own >= 50 ? "error" : own >= 40 ? "warn" : own >= 30 ? "info" : own >= 10 ? "debug" : null;
  if (!object) {
    const start = event.message.slice(0, 160);
    const found = /(?:^|\s)(?:level|lvl|severity)="?([A-Za-z]+)/.exec(start) ?? /(?:^|[\s[(|])([A-Z]{3,11})(?=$|[\s\])|:])/.exec(start);
    if (found && ofWord(found[1].toLowerCase()))
      return ofWord(found[1].toLowerCase());
  }
  if (event.severity < 4)
    return "error";
  return event.severity === 4 ? "warn" : event.severity === 7 ? "debug" : "info";
}

// "word -word /regex/ -/regex/ "two words"": {accepts(text), error}
export function filterOf(text) {
  const wanted = [], unwanted = [];
  let error = "";
  for (const [, minus, regex, quoted, word] of text.matchAll(/(-?)(?:\/((?:[^/\\]|\\.)+)\/|"([^"]*)"|(\S+))/g)) {
    let test;
    if (regex !== undefined) {
      try {
        const re = new RegExp(regex, "i");
        test = (s) => re.test(s);
      } catch (e) {
        error = e.message;
        continue;
      }
    } else {
      const small = (quoted ?? word).toLowerCase();
      test = (s) => s.toLowerCase().includes(small);
    }
    (minus ? unwanted : wanted).push(test);
  }
  return { error, accepts: (s) => wanted.every((t) => t(s)) && !unwanted.some((t) => t(s)) };
}

const two = (n) => String(n).padStart(2, "0");
const clock = (h, m, s, ms) => `${two(h)}:${two(m)}:${two(s)}.${String(ms).padStart(3, "0")}`;

export function timeText(time, how) {
  const t = new Date(time);
  if (Number.isNaN(t.getTime()))
    return "";
  if (how === "utc")
    return clock(t.getUTCHours(), t.getUTCMinutes(), t.getUTCSeconds(), t.getUTCMilliseconds());
  if (how === "local")
    return clock(t.getHours(), t.getMinutes(), t.getSeconds(), t.getMilliseconds());
  return duration((Date.now() - t.getTime()) / 1000);
}

export function duration(s) {
  if (s < 0)
    s = 0;
  return s < 90 ? `${Math.round(s)} s` : s < 5400 ? `${Math.round(s / 60)} min` : s < 129600 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
}

export function bytes(n) {
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (n < 1024)
      return `${n < 10 && unit !== "B" ? n.toFixed(1) : Math.round(n)} ${unit}`;
    n /= 1024;
  }
  return `${n.toFixed(1)} TiB`;
}

const SEQUENCE = /\x1b(?:\[([0-9;:]*)([@-~])|[@-_])/g;
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

// Characters that would move or turn the text around are shown, not done.
export function visible(s) {
  return s.replace(CONTROL, (c) => (c < " " ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : "\ufffd")).replaceAll("\t", "    ");
}

export function plain(s) {
  return s.replace(SEQUENCE, "");
}

// Text nodes and spans of the eight colours of a terminal, appended to <into>.
export function colours(into, s, limit) {
  let at = 0, colour = "", bold = false, left = limit;
  const add = (text) => {
    text = visible(text.slice(0, left));
    left -= text.length;
    if (!text)
      return;
    if (!colour && !bold) {
      into.append(text);
      return;
    }
    const span = document.createElement("span");
    span.className = `${colour}${bold ? " bold" : ""}`;
    span.textContent = text;
    into.append(span);
  };
  for (const found of s.matchAll(SEQUENCE)) {
    add(s.slice(at, found.index));
    at = found.index + found[0].length;
    if (found[2] !== "m" || left <= 0)
      continue;
    for (const code of (found[1] || "0").split(/[;:]/).map(Number)) {
      if (code === 0)
        [colour, bold] = ["", false];
      else if (code === 1)
        bold = true;
      else if (code === 22)
        bold = false;
      else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97))
        colour = `ansi${code % 10}`;
      else if (code === 39)
        colour = "";
      else if (code === 38 || code === 48)
        break; // 256 colours: not shown
    }
  }
  add(s.slice(at));
}
