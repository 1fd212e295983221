// The review queue: the sessions that a query finds, one after the other. The address holds the query;
// the place in the queue is the session's own, so that a session that no longer fits still has a next.

import { get } from "../api.js";

/** The query of the queue that an address names; null without a queue. @param {string} search */
export function queueOf(search) {
  return new URLSearchParams(search).get("queue");
}

/** A path within the queue. @param {string} path @param {string | null} queue */
export function withQueue(path, queue) {
  if (queue === null) return path;
  const address = new URL(path, location.origin);
  address.searchParams.set("queue", queue);
  return address.pathname + address.search + address.hash;
}

const parameters = (queue, extra) =>
  new URLSearchParams({
    q: queue,
    tz: String(-new Date().getTimezoneOffset()),
    ...extra,
  });

/** The path of the first session of a queue; null for an empty one. */
export async function firstOf(queue) {
  return pathOf((await sessionsOf(queue, {}))[0], queue);
}

async function sessionsOf(queue, extra) {
  const { body } = await get(`/api/sessions?${parameters(queue, { limit: "1", ...extra })}`);
  return body.sessions;
}

const pathOf = (session, queue) =>
  session ? withQueue(`/sessions/${encodeURIComponent(session.session_id)}`, queue) : null;

/** The paths of the sessions before and behind one, and how many the queue has. */
export async function neighbours(session, queue) {
  const after = JSON.stringify([session.last_active, session.session_id]);
  const [next, previous, total] = await Promise.all([
    sessionsOf(queue, { after }),
    sessionsOf(queue, { after, dir: "asc" }),
    get(`/api/histogram?${parameters(queue, {})}`),
  ]);
  return {
    next: pathOf(next[0], queue),
    previous: pathOf(previous[0], queue),
    total: total.body.sessions.reduce((sum, count) => sum + count, 0),
  };
}
