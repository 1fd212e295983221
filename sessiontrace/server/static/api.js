// Asking the server. An answer is asked for again with its tag, so that an unchanged one costs
// nothing; `unchanged` is then returned in its place.

export const unchanged = Symbol("unchanged");

const LONGEST = 30_000; // ms: a server that was stopped half-way answers never

export class Refused extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

export async function ask(path, signal, tag = null) {
  const headers = tag ? { "If-None-Match": tag } : {};
  const late = AbortSignal.timeout(LONGEST);
  const response = await fetch(path, { headers, signal: signal ? AbortSignal.any([signal, late]) : late, cache: "no-store" });
  if (response.status === 304) return { tag, body: unchanged };
  if (response.status === 401) window.dispatchEvent(new Event("locked"));
  if (!response.ok) throw new Refused(response.status, await reason(response));
  return { tag: response.headers.get("ETag"), body: await response.json() };
}

const reason = async (response) => (await response.json().catch(() => ({}))).error ?? `HTTP ${response.status}`;

export async function tell(path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Refused(response.status, await reason(response));
}

// One stream for the page: the server says that something changed, and those who listen ask again.
// Only while the page is in sight: a browser has six connections to a server for all of its tabs,
// and a stream keeps one of them busy, even that of a page that one has left but may come back to.
const AFRESH = 10_000; // ms until a stream that the server refused is asked for again
const listeners = new Set();
let stream = null;
let streaming = false;
let afresh = 0;

function listen(listener) {
  listeners.add(listener);
  openStream();
  return () => listeners.delete(listener);
}

function openStream() {
  clearTimeout(afresh);
  if (stream || document.hidden || !listeners.size) return;
  stream = new EventSource("/api/live");
  stream.addEventListener("open", () => { streaming = true; ring(); });
  stream.addEventListener("changed", ring);
  stream.addEventListener("error", () => {
    if (streaming) { streaming = false; ring(); }
    if (stream?.readyState === EventSource.CLOSED) {
      closeStream();
      afresh = setTimeout(openStream, AFRESH);
    }
  });
}

function closeStream() {
  stream?.close();
  stream = null;
  streaming = false;
}

document.addEventListener("visibilitychange", () => (document.hidden ? closeStream() : openStream()));
window.addEventListener("pagehide", closeStream);
window.addEventListener("pageshow", openStream);

function ring() {
  for (const listener of listeners) listener();
}

// Asks when the server says that something changed, and every `every` ms where it cannot say so
// (much more seldom where it can), while the page is in sight; a server that does not answer is
// told, and asked again, more slowly. What is rung for while an answer is on its way is asked for
// once, after it: a store that changes all the time must not keep every answer from being shown.
export function poll(path, { every, seen, failed }) {
  const ended = new AbortController();
  let tag = null;
  let timer = 0;
  let misses = 0;
  let asked = null; // the question on its way
  let rung = false;
  async function turn() {
    clearTimeout(timer);
    if (ended.signal.aborted) return;
    if (asked) { rung = true; return; }
    rung = false;
    if (!document.hidden) {
      const mine = asked = new AbortController();
      try {
        const answer = await ask(path(), mine.signal, tag);
        if (mine.signal.aborted) return;
        misses = 0;
        tag = answer.tag;
        seen(answer.body);
      } catch (error) {
        if (mine.signal.aborted) return; // given up for another question
        misses += 1;
        failed(error);
      }
      if (asked !== mine) return; // a new one was asked while this one was shown
      asked = null;
    }
    timer = setTimeout(turn, rung ? 0 : streaming ? every * 10 : every * Math.min(1 + misses, 5));
  }
  const back = () => { if (!document.hidden) turn(); };
  document.addEventListener("visibilitychange", back);
  const silence = listen(back);
  ended.signal.addEventListener("abort", () => {
    silence();
    asked?.abort();
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", back);
  });
  turn();
  return {
    again() {
      asked?.abort();
      asked = null;
      tag = null;
      return turn();
    },
    stop() { ended.abort(); },
  };
}
