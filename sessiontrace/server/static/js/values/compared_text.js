// A field of a record as one text, for the difference to another. Pure: no element is made here.

import { splitMessages } from "./chat_messages.js";
import { normalized } from "./message_parts.js";

/** The text of a field; null for one without words, such as a number, and for a missing one. */
export function comparedText(field) {
  if (typeof field === "string") return field;
  if (field === null || typeof field !== "object") return null;
  const { messages, rest } = splitMessages(field);
  if (messages === null) return hasText(field) ? linesOf(field) : null;
  const one = messages.length === 1;
  const texts = messages.map(normalized).map((message) => messageText(message, one));
  return [...texts, rest ? linesOf(rest) : null].filter(Boolean).join("\n\n");
}

function messageText(message, alone) {
  const text = message.parts.map(partText).filter(Boolean).join("\n");
  return alone ? text : `${message.role}: ${text}`;
}

function partText(part) {
  if (part.kind === "call") return `${part.name}(${JSON.stringify(part.value ?? null)})`;
  if (typeof part.text === "string") return part.text;
  if (part.value === undefined) return "";
  return typeof part.value === "string" ? part.value : JSON.stringify(part.value, null, 2);
}

function hasText(value) {
  if (typeof value === "string") return true;
  return value !== null && typeof value === "object" && Object.values(value).some(hasText);
}

const linesOf = (value) =>
  Object.entries(value)
    .map(([name, each]) =>
      typeof each === "string" ? `${name}: ${each}` : `${name}: ${JSON.stringify(each, null, 2)}`,
    )
    .join("\n");
