// The whole view is in the URL, to be shared: #w=web.shop&f=-healthz&l=error,warn&t=utc&n=shop. The token never is.

import { LEVELS } from "./text.js";

export function readView() {
  const p = new URLSearchParams(location.hash.slice(1));
  const levels = (p.get("l") ?? "").split(",").filter((l) => LEVELS.includes(l));
  return {
    workload: p.get("w") ?? "",
    namespace: p.get("n") ?? "",
    filter: p.get("f") ?? "",
    levels: new Set(levels.length ? levels : LEVELS),
    times: ["local", "utc", "age"].includes(p.get("t")) ? p.get("t") : "local",
  };
}

export function writeView(v) {
  const p = new URLSearchParams();
  if (v.workload)
    p.set("w", v.workload);
  if (v.namespace)
    p.set("n", v.namespace);
  if (v.filter)
    p.set("f", v.filter);
  if (v.levels.size < LEVELS.length)
    p.set("l", LEVELS.filter((l) => v.levels.has(l)).join(","));
  if (v.times !== "local")
    p.set("t", v.times);
  history.replaceState(null, "", `#${p}`);
}
