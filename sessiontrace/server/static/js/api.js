// Requests to the server. A request repeats the tag of the last response, so that an unchanged body
// costs nothing; `get` then returns `unchanged` in its place.

export const unchanged = Symbol("unchanged");

const TIMEOUT_MS = 30_000; // a server that is suspended never answers

/** The server answered, with a status that means failure. */
export class RequestError extends Error {
  /** @param {number} status @param {string} reason @param {any} details the body of the answer */
  constructor(status, reason, details = {}) {
    super(reason);
    this.status = status;
    this.details = details;
  }
}

/**
 * GET a JSON body.
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @param {string | null} [tag] the ETag of the last response
 * @returns {Promise<{tag: string | null, body: any}>}
 */
export async function get(path, signal, tag = null) {
  const headers = tag ? { "If-None-Match": tag } : {};
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(path, {
    headers,
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    cache: "no-store",
  });
  if (response.status === 304) return { tag, body: unchanged };
  if (!response.ok) {
    const error = await errorOf(response);
    if (error.status === 401)
      window.dispatchEvent(new CustomEvent("locked", { detail: error.message }));
    throw error;
  }
  return { tag: response.headers.get("ETag"), body: await response.json() };
}

async function errorOf(response) {
  const details = await response.json().catch(() => ({}));
  return new RequestError(response.status, details.error ?? `HTTP ${response.status}`, details);
}

/** POST a JSON body. @param {string} path @param {object} body */
export async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw await errorOf(response);
  return response.json();
}

let permission = null;

/** Whether this browser's key may score and delete; true where the server cannot be asked. */
export function mayScore() {
  permission ??= get("/api/about").then(
    ({ body }) => body.may_score !== false,
    () => {
      permission = null;
      return true;
    },
  );
  return permission;
}

/** An error as a person wants to read it: browsers say "Failed to fetch". @param {any} error */
export const reasonOf = (error) =>
  error.status ? error.message : "The server does not answer. Is it still running?";

/**
 * The trees of texts in markdown.
 * @param {string[]} texts
 * @returns {Promise<{available: boolean, trees: any[]}>}
 */
export const fetchTrees = (texts) => post("/api/markdown", { texts });

// One event stream for the page: the server announces a change, and every listener polls again. The
// stream is open only while the page is visible: a browser has six connections per server for all of
// its tabs, and a stream occupies one of them, even in a hidden tab.
const REOPEN_MS = 10_000; // until a stream that the server refused is opened again
const listeners = new Set();
let stream = null;
let streaming = false;
let reopenTimer = 0;

function listen(listener) {
  listeners.add(listener);
  openStream();
  return () => listeners.delete(listener);
}

function openStream() {
  clearTimeout(reopenTimer);
  if (stream || document.hidden || !listeners.size) return;
  stream = new EventSource("/api/live");
  stream.addEventListener("open", () => {
    streaming = true;
    notify();
  });
  stream.addEventListener("changed", notify);
  stream.addEventListener("error", () => {
    if (streaming) {
      streaming = false;
      notify();
    }
    if (stream?.readyState === EventSource.CLOSED) {
      closeStream();
      reopenTimer = setTimeout(openStream, REOPEN_MS);
    }
  });
}

function closeStream() {
  stream?.close();
  stream = null;
  streaming = false;
}

document.addEventListener("visibilitychange", () =>
  document.hidden ? closeStream() : openStream(),
);
window.addEventListener("pagehide", closeStream);
window.addEventListener("pageshow", openStream);

function notify() {
  for (const listener of listeners) listener();
}

/**
 * Poll a path while the page is visible: when the event stream announces a change, and every `every`
 * ms without a stream (ten times that with one). A server that does not answer is polled more slowly.
 * Changes that are announced during a request lead to one request after it, so that a store that
 * changes all the time cannot keep every response from being shown.
 * @param {() => string} path
 * `first`: the tag of a response that the caller has already. `announced`: also when the stream
 * announces a change; else by time alone.
 * @param {{every: number, seen: (body: any) => void, failed: (error: any) => void,
 *   first?: string | null, announced?: boolean}} options
 */
export function poll(path, { every, seen, failed, first = null, announced = true }) {
  const ended = new AbortController();
  let tag = first;
  let timer = 0;
  let misses = 0;
  let inFlight = null; // the abort controller of the request under way
  let pending = false;
  async function run() {
    clearTimeout(timer);
    if (ended.signal.aborted) return;
    if (inFlight) {
      pending = true;
      return;
    }
    pending = false;
    if (!document.hidden) {
      const mine = new AbortController();
      inFlight = mine;
      try {
        const response = await get(path(), mine.signal, tag);
        if (mine.signal.aborted) return;
        misses = 0;
        tag = response.tag;
        seen(response.body);
      } catch (error) {
        if (mine.signal.aborted) return; // replaced by another request
        misses += 1;
        failed(error);
      }
      if (inFlight !== mine) return; // a new request began while this one was shown
      inFlight = null;
    }
    timer = setTimeout(
      run,
      pending ? 0 : streaming && announced ? every * 10 : every * Math.min(1 + misses, 5),
    );
  }
  const runIfVisible = () => {
    if (!document.hidden) run();
  };
  document.addEventListener("visibilitychange", runIfVisible);
  const unsubscribe = announced ? listen(runIfVisible) : () => {};
  ended.signal.addEventListener("abort", () => {
    unsubscribe();
    inFlight?.abort();
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", runIfVisible);
  });
  run();
  return {
    restart() {
      inFlight?.abort();
      inFlight = null;
      tag = null;
      return run();
    },
    stop() {
      ended.abort();
    },
  };
}
