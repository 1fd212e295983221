// Asking the server. An answer is asked for again with its tag, so that an unchanged one costs
// nothing; `unchanged` is then returned in its place.

export const unchanged = Symbol("unchanged");

export class Refused extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

export async function ask(path, signal, tag = null) {
  const headers = tag ? { "If-None-Match": tag } : {};
  const response = await fetch(path, { headers, signal, cache: "no-store" });
  if (response.status === 304) return { tag, body: unchanged };
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body.error ?? `HTTP ${response.status}`);
  return { tag: response.headers.get("ETag"), body };
}

export async function tell(path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Refused(response.status, (await response.json().catch(() => ({}))).error ?? `HTTP ${response.status}`);
}

// One stream for the page: the server says that something changed, and those who listen ask again.
const listeners = new Set();
let stream = null;
let streaming = false;

function listen(listener) {
  listeners.add(listener);
  if (!stream) {
    stream = new EventSource("/api/live");
    stream.addEventListener("open", () => { streaming = true; ring(); });
    stream.addEventListener("changed", ring);
    stream.addEventListener("error", () => { if (streaming) { streaming = false; ring(); } });
  }
  return () => listeners.delete(listener);
}

function ring() {
  for (const listener of listeners) listener();
}

// Asks when the server says that something changed, and every `every` ms where it cannot say so
// (much more seldom where it can), while the page is in sight; a server that does not answer is
// told, and asked again, more slowly.
export function poll(path, { every, seen, failed }) {
  const ended = new AbortController();
  let tag = null;
  let timer = 0;
  let misses = 0;
  let latest = 0;
  async function turn() {
    clearTimeout(timer);
    if (ended.signal.aborted) return;
    const mine = ++latest;
    if (!document.hidden) {
      try {
        const answer = await ask(path(), ended.signal, tag);
        if (mine !== latest) return; // asked again meanwhile, for something else perhaps
        misses = 0;
        tag = answer.tag;
        seen(answer.body);
      } catch (error) {
        if (ended.signal.aborted || mine !== latest) return;
        misses += 1;
        failed(error);
      }
    }
    clearTimeout(timer);
    timer = setTimeout(turn, streaming ? every * 10 : every * Math.min(1 + misses, 5));
  }
  const back = () => { if (!document.hidden) turn(); };
  document.addEventListener("visibilitychange", back);
  const silence = listen(() => { if (!document.hidden) turn(); });
  ended.signal.addEventListener("abort", () => {
    silence();
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", back);
  });
  turn();
  return {
    again() { tag = null; return turn(); },
    stop() { ended.abort(); },
  };
}
