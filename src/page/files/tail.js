// The requests of the page, all with the token, and the events of a tail as they come.

let token = sessionStorage.getItem("token") ?? "";

export function setToken(text) {
  token = text.trim();
  sessionStorage.setItem("token", token);
}

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token)
    headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
  if (!answer.ok)
    throw new Refused(answer.status, (await answer.text()).slice(0, 300));
  return answer;
}

export async function objects(path, query) {
  const text = await (await ask(`${path}?${new URLSearchParams(query)}`)).text();
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

const EVENT_MAX = 4 << 20; // characters without the end of an event

// Calls take([{id, data}…]) for what comes, until <signal> aborts it or it ends.
async function read(body, take) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done)
      return;
    rest += value;
    const events = rest.split("\n\n");
    rest = events.pop();
    if (rest.length > EVENT_MAX)
      throw new Error("an event is too long");
    const found = [];
    for (const text of events) {
      const event = { id: "", data: "" };
      for (const line of text.split("\n")) {
        if (line.startsWith("id: "))
          event.id = line.slice(4);
        else if (line.startsWith("data: "))
          event.data += line.slice(6);
      }
      if (event.data || event.id)
        found.push(event);
    }
    if (found.length)
      take(found);
  }
}

// A tail that goes on where it was when its connection is lost. say(text, error): how it is; lost(Refused): who asks may not.
export class Tail {
  constructor(query, take, say, lost) {
    this.query = query;
    this.take = take;
    this.say = say;
    this.lost = lost;
    this.last = "";
    this.stop = new AbortController();
    this.run();
  }

  close() {
    this.stop.abort();
  }

  async run() {
    const { signal } = this.stop;
    let wait = 500;
    while (!signal.aborted) {
      try {
        const headers = { Accept: "text/event-stream" };
        if (this.last)
          headers["Last-Event-ID"] = this.last;
        const answer = await ask(`/v1/tail?${new URLSearchParams(this.query)}`, { headers, signal });
        this.say("");
        wait = 500;
        await read(answer.body, (events) => {
          const data = events.filter((e) => e.data).map((e) => JSON.parse(e.data));
          this.last = events.findLast((e) => e.id)?.id ?? this.last;
          if (!signal.aborted && data.length)
            this.take(data);
        });
        this.say("The connection ended. Trying again.", true);
      } catch (e) {
        if (signal.aborted)
          return;
        if (e instanceof Refused && e.status === 400 && this.last) {
          this.last = "";
        } else if (e instanceof Refused && e.status < 500 && e.status !== 429) {
          this.lost(e);
          return;
        }
        this.say(e instanceof Refused ? e.message : "The server cannot be reached. Trying again.", true);
      }
      await new Promise((done) => setTimeout(done, wait));
      wait = Math.min(2 * wait, 10000);
    }
  }
}
