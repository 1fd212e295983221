// A chat message in one shape, whatever the API: a role, and parts in the order in which they were
// said. Pure: no element is made here.

import { mediaOf } from "./media.js";

/**
 * @typedef {{kind: string, text?: string, id?: string, name?: string, value?: any, failed?: boolean,
 *   media?: any}} Part
 * kind: text, reasoning, refusal, call (name, value: its arguments), result (value, failed), media,
 * or other (value)
 * @typedef {{role: string, side: "user" | "system" | "tool" | "model", name: string | null,
 *   parts: Part[]}} Message
 */

const SIDES = {
  user: "user",
  human: "user",
  system: "system",
  developer: "system",
  tool: "tool",
  function: "tool",
  ipython: "tool",
};
const TEXTS = new Set(["text", "input_text", "output_text", "summary_text"]);
const REASONING = new Set(["thinking", "reasoning", "redacted_thinking", "reasoning_text"]);
const CALLS = new Set(["tool_call", "tool-call", "function_call", "function", "toolCall"]);
const RESULTS = new Set(["tool_call_response", "tool-result", "tool_response", "function_result"]);

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const firstText = (...values) => values.find((value) => typeof value === "string" && value !== "");
const firstPresent = (...values) => values.find((value) => value !== undefined && value !== null);

/** @param {any} message an object with a role @returns {Message} */
export function normalized(message) {
  const role = message.role;
  const side = Object.hasOwn(SIDES, role) ? SIDES[role] : "model";
  const content = firstPresent(message.content, message.parts);
  const answers = side === "tool" || typeof message.tool_call_id === "string";
  return {
    role,
    side,
    name: typeof message.name === "string" ? message.name : null,
    parts: [
      ...reasoningOf(message),
      ...(answers ? resultsOf(message, content) : partsOf(content)),
      ...(typeof message.refusal === "string" && message.refusal
        ? [{ kind: "refusal", text: message.refusal }]
        : []),
      ...callsOf(message),
    ],
  };
}

function reasoningOf(message) {
  const text = firstText(message.reasoning_content, message.reasoning, message.thinking);
  return text ? [{ kind: "reasoning", text }] : [];
}

function callsOf(message) {
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls : [];
  return [...calls, ...(isObject(message.function_call) ? [message.function_call] : [])].map(
    (call) => callOf(call) ?? { kind: "other", value: call },
  );
}

function callOf(call) {
  if (!isObject(call)) return null;
  const inner = isObject(call.function)
    ? call.function
    : isObject(call.custom)
      ? call.custom
      : call;
  const name = firstText(inner.name, inner.toolName, inner.tool_name);
  if (!name) return null;
  const value = firstPresent(inner.arguments, inner.args, inner.input, inner.parameters);
  const id = firstText(call.id, call.call_id, call.toolCallId, call.toolUseId, call.tool_call_id);
  return { kind: "call", id, name, value: unpacked(value) };
}

function resultsOf(message, content) {
  const inside = Array.isArray(content) ? content.map(partOf) : [];
  if (inside.length && inside.every((part) => part.kind === "result")) return inside;
  return [
    {
      kind: "result",
      id: firstText(message.tool_call_id, message.call_id, message.id),
      name: firstText(message.name, message.tool_name),
      value: resultValue(content),
      failed: message.status === "error" || message.is_error === true,
    },
  ];
}

/** What a tool returned: texts joined, JSON read. */
function resultValue(content) {
  if (typeof content === "string") return unpacked(content);
  if (!Array.isArray(content)) return content;
  const parts = content.map(partOf);
  if (parts.length && parts.every((part) => part.kind === "text"))
    return unpacked(parts.map((part) => part.text).join("\n"));
  return content;
}

function partsOf(content) {
  if (content === null || content === undefined || content === "") return [];
  if (typeof content === "string") return [{ kind: "text", text: content }];
  if (Array.isArray(content)) return content.map(partOf);
  return [partOf(content)];
}

/** @param {any} block @returns {Part} */
function partOf(block) {
  if (typeof block === "string") return { kind: "text", text: block };
  if (!isObject(block)) return { kind: "other", value: block };
  return (
    textPart(block) ?? callPart(block) ?? resultPart(block) ?? mediaPart(block) ?? other(block)
  );
}

const other = (value) => ({ kind: "other", value });

function textPart(block) {
  const { type } = block;
  const hidden = block.reasoningContent ?? (REASONING.has(type) || block.thought === true);
  if (hidden) {
    const inner = isObject(hidden) ? (hidden.reasoningText ?? hidden) : block;
    const text = firstText(inner.thinking, inner.text, inner.content, inner.reasoning);
    const summary = Array.isArray(inner.summary)
      ? inner.summary.map((part) => partOf(part).text ?? "").join("\n\n")
      : "";
    return { kind: "reasoning", text: text ?? summary };
  }
  if (type === "refusal")
    return { kind: "refusal", text: firstText(block.refusal, block.text) ?? "" };
  if (type !== undefined && !TEXTS.has(type)) return null;
  const text = typeof block.text === "string" ? block.text : type && block.content;
  return typeof text === "string" ? { kind: "text", text } : null;
}

function callPart(block) {
  const inner = block.toolUse ?? block.functionCall ?? block.function_call;
  if (isObject(inner)) return callOf(inner);
  const isCall = CALLS.has(block.type) || /(^|_)tool_use$/.test(block.type ?? "");
  return isCall ? callOf(block) : null;
}

function resultPart(block) {
  const inner = block.toolResult ?? block.functionResponse ?? block.function_response;
  const { type } = block;
  if (!isObject(inner) && !RESULTS.has(type) && !/(^|_)tool_result$/.test(type ?? "")) return null;
  const from = isObject(inner) ? inner : block;
  const value = firstPresent(from.content, from.response, from.result, from.output);
  return {
    kind: "result",
    id: firstText(from.tool_use_id, from.toolUseId, from.tool_call_id, from.toolCallId, from.id),
    name: firstText(from.name, from.toolName, from.tool_name),
    value: resultValue(value),
    failed: from.is_error === true || from.isError === true || from.status === "error",
  };
}

function mediaPart(block) {
  const media = mediaOf(block);
  return media ? { kind: "media", media } : null;
}

/** A value, or what it holds as JSON. @param {any} value */
export function unpacked(value) {
  return typeof value === "string" ? (parseJson(value) ?? value) : value;
}

/** The object or list that a text holds as JSON, or null. @param {string} text */
export function parseJson(text) {
  if (!/^\s*[[{]/.test(text)) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
