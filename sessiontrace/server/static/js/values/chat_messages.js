// Which part of a record is a chat. Pure: no element is made here.

const LISTS = ["chat_history", "messages", "choices", "result", "output"];

const isMessage = (value) =>
  value !== null &&
  typeof value === "object" &&
  typeof value.role === "string" &&
  ("content" in value || "tool_calls" in value || "parts" in value);

/**
 * A message, whatever the API: of a choice the message in it, of OpenAI's Responses API the items.
 * @param {any} value
 * @returns {any} a message, or null
 */
function asMessage(value) {
  if (isMessage(value)) return value;
  if (isMessage(value?.message)) return value.message;
  if (value?.type === "function_call") {
    const { name, arguments: callArguments, call_id: id } = value;
    const call = { id, type: "function", function: { name, arguments: callArguments } };
    return { role: "assistant", content: null, tool_calls: [call] };
  }
  if (value?.type === "function_call_output")
    return { role: "tool", content: value.output, tool_call_id: value.call_id };
  if (value?.type === "reasoning" && Array.isArray(value.summary))
    return { role: "assistant", name: "reasoning", content: value.summary };
  return null;
}

/** The messages of a list that is a chat, or null. @param {any} value */
function chatOf(value) {
  if (!Array.isArray(value) || value.length === 0) return null;
  const messages = value.map(asMessage);
  return messages.every((message) => message !== null) ? messages : null;
}

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
    const messages = chatOf(field[list]);
    if (messages !== null) {
      const { [list]: entries, ...others } = field;
      const wrapped = entries.filter((entry) => isMessage(entry.message));
      const besides = wrapped.map(({ message, ...beside }) => beside);
      return { messages, rest: orNull(wrapped.length ? { ...others, [list]: besides } : others) };
    }
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
