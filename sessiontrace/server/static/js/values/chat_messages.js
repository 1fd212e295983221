// Which part of a record is a chat. Pure: no element is made here.

const LISTS = [
  "chat_history",
  "messages",
  "contents",
  "input",
  "choices",
  "candidates",
  "result",
  "output",
];
const ROLES = { human: "user", ai: "assistant", system: "system", tool: "tool", user: "user" };

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const isMessage = (value) =>
  isObject(value) &&
  typeof value.role === "string" &&
  ("content" in value || "tool_calls" in value || "parts" in value);

/**
 * A message, whatever the API: of a choice the message in it, of OpenAI's Responses API the items,
 * of LangChain a message whose type says who spoke.
 * @param {any} value
 * @returns {any} a message, or null
 */
function asMessage(value) {
  if (isMessage(value)) return value;
  if (!isObject(value)) return null;
  if (isMessage(value.message)) return value.message;
  if (isMessage(value.content)) return value.content; // a candidate of Gemini
  if (Object.hasOwn(ROLES, value.type) && "content" in value)
    return { ...value, role: ROLES[value.type] };
  return item(value);
}

function item(value) {
  const { type } = value;
  if (typeof type !== "string") return null;
  const id = value.call_id ?? value.id;
  if (type === "function_call" || type === "custom_tool_call") {
    const called = { name: value.name, arguments: value.arguments ?? value.input };
    return {
      role: "assistant",
      content: null,
      tool_calls: [{ id, type: "function", function: called }],
    };
  }
  if (/_call_output$/.test(type)) return { role: "tool", content: value.output, tool_call_id: id };
  if (type === "reasoning" && (Array.isArray(value.summary) || Array.isArray(value.content)))
    return { role: "assistant", content: [{ type: "reasoning", summary: parts(value) }] };
  if (type === "mcp_call") {
    const { name, arguments: callArguments, output, error } = value;
    const result = {
      type: "tool_result",
      id,
      name,
      content: error ?? output,
      is_error: Boolean(error),
    };
    const call = { type: "tool_call", id, name, arguments: callArguments };
    return { role: "assistant", content: output || error ? [call, result] : [call] };
  }
  if (/_call$/.test(type)) {
    const { type: _, id: __, call_id: ___, status: ____, ...callArguments } = value;
    const name = type.slice(0, -"_call".length);
    return { role: "assistant", tool_calls: [{ id, name, arguments: callArguments }] };
  }
  return null;
}

const parts = (value) => (value.summary?.length ? value.summary : (value.content ?? []));

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
    const { messages, others } = lone(field);
    return { messages, rest: orNull(others) };
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

const SAID =
  "role content parts tool_calls function_call name tool_call_id refusal reasoning_content reasoning thinking".split(
    " ",
  );

function lone(field) {
  const others = Object.fromEntries(Object.entries(field).filter(([key]) => !SAID.includes(key)));
  return { messages: [field], others };
}

const orNull = (value) => (Object.keys(value).length ? value : null);

/** The definitions of the tools that a call may use, each flat, or null. @param {any} tools */
export function toolDefinitions(tools) {
  if (!Array.isArray(tools) || tools.length === 0) return null;
  const flat = tools.flatMap((tool) =>
    Array.isArray(tool?.functionDeclarations ?? tool?.function_declarations)
      ? (tool.functionDeclarations ?? tool.function_declarations)
      : [tool?.toolSpec ?? tool?.function ?? tool],
  );
  const definitions = flat.map((tool) => ({
    name: tool?.name ?? tool?.type,
    description: typeof tool?.description === "string" ? tool.description : "",
    schema:
      tool?.parameters ??
      tool?.input_schema ??
      tool?.inputSchema?.json ??
      tool?.inputSchema ??
      null,
    whole: tool,
  }));
  return definitions.every((tool) => typeof tool.name === "string") ? definitions : null;
}
