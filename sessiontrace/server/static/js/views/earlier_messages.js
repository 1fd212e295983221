// Which messages of a call are known from a call before it: they are folded, and what is new is read
// first.

import { callsBefore, messagesOf, repeated } from "../values/history.js";

/**
 * @param {any[]} events of the session @param {any} event the call @param {any} record its record
 * @param {(id: string) => Promise<any>} load the record of another step
 * @returns {Promise<{count: number, call: any} | null>}
 */
export async function earlierMessages(events, event, record, load) {
  const messages = messagesOf(record);
  if (event.type !== "model" || messages.length < 2) return null;
  let most = 0;
  let closest = null;
  for (const call of callsBefore(events, event)) {
    const before = messagesOf(await load(call.event_id).catch(() => null));
    const same = repeated(messages, before);
    if (same > most) {
      most = same;
      closest = call;
    }
    if (same && same >= before.length) break; // all that it was given
  }
  return closest ? { count: most, call: closest } : null;
}
