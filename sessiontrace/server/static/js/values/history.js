// What a call of a model repeats of the calls before it. Pure: no element is made here.

import { splitMessages } from "./chat_messages.js";

const CANDIDATES = 3;

/**
 * The calls that may be the one before, likeliest first: those of the same parent, then the latest.
 * @param {any[]} events of the session, in order of their start @param {any} event
 */
export function callsBefore(events, event) {
  const at = events.indexOf(event);
  const calls = events.slice(0, Math.max(0, at)).filter((each) => each.type === "model");
  const latest = calls.reverse();
  const near = latest.filter((each) => each.parent_id === event.parent_id);
  const others = latest.filter((each) => each.parent_id !== event.parent_id);
  return [...near.slice(0, CANDIDATES), ...others].slice(0, CANDIDATES);
}

/** The messages that a record was given, or an empty list. @param {any} record */
export const messagesOf = (record) =>
  (record?.inputs && splitMessages(record.inputs).messages) || [];

/**
 * How many messages a chat has at its begin that an earlier one has too. A chat that shares only its
 * system prompt repeats nothing, and a call that is made again has its last message for itself.
 * @param {any[]} messages @param {any[]} before
 */
export function repeated(messages, before) {
  let same = 0;
  while (same < messages.length && same < before.length && isSame(messages[same], before[same]))
    same += 1;
  const said = messages
    .slice(0, same)
    .some((message) => !/^(system|developer)$/.test(message.role));
  return said ? Math.min(same, messages.length - 1) : 0;
}

const isSame = (a, b) => JSON.stringify(a) === JSON.stringify(b);
