// Which part of a record is a chat. Pure: no element is made here.

const LISTS = ["chat_history", "messages"];

const isMessage = (value) =>
  value !== null &&
  typeof value === "object" &&
  typeof value.role === "string" &&
  ("content" in value || "tool_calls" in value || "parts" in value);
const isChat = (value) => Array.isArray(value) && value.length > 0 && value.every(isMessage);

/**
 * Splits a field of a record into its conversation and everything else.
 * @param {any} field an object
 * @returns {{messages: any[] | null, rest: any}}
 */
export function splitMessages(field) {
  if (isMessage(field)) {
    const { role, content, tool_calls: calls, name, tool_call_id: id, refusal, ...others } = field;
    return { messages: [field], rest: orNull(others) };
  }
  for (const list of LISTS) {
    if (isChat(field[list])) {
      const { [list]: messages, ...others } = field;
      return { messages, rest: orNull(others) };
    }
  }
  if (isChat(field.result)) {
    const { result, ...others } = field;
    return { messages: result, rest: orNull(others) };
  }
  return { messages: null, rest: field };
}

const orNull = (value) => (Object.keys(value).length ? value : null);

/** The object or list that a text holds as JSON, or null. @param {string} text */
export function parseJson(text) {
  if (!/^\s*[[{]/.test(text)) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
