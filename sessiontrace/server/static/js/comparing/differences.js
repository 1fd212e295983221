// The fields of two records side by side: answers as one text with what goes and what comes, other
// values next to each other.

import { conversation } from "../chat/conversation.js";
import { el } from "../elements.js";
import { json } from "../json_tree.js";
import { splitMessages } from "../values/chat_messages.js";
import { comparedText } from "../values/compared_text.js";
import { textDiff } from "../values/text_diff.js";

const TITLES = { inputs: "Inputs", outputs: "Outputs", config: "Config", error: "Error" };

/** The named fields of two records, one of which may be null; null where neither has any. */
export function differences(records, names) {
  const filledNames = names.filter((name) => records.some((record) => filled(record?.[name])));
  if (!filledNames.length) return null;
  return filledNames.map((name) => {
    const fields = records.map((record) => record?.[name]);
    const same = JSON.stringify(fields[0]) === JSON.stringify(fields[1]);
    return el(
      "section",
      { class: same ? "part same" : "part differs" },
      el(
        "h2",
        {},
        TITLES[name],
        el("span", { class: "soft" }, same ? " the same in both" : " different"),
      ),
      same ? sides([fields[0]]) : different(fields),
    );
  });
}

function different(fields) {
  const texts = fields.map(comparedText);
  if (texts.some((text) => text === null)) return sides(fields);
  return [
    diff(...texts),
    el("details", { class: "full" }, el("summary", {}, "Side by side"), sides(fields)),
  ];
}

/** A screen reader says which words go and which come. */
function diff(before, after) {
  const marks = { removed: "del", added: "ins" };
  return el(
    "p",
    { class: "diff", dir: "auto" },
    textDiff(before, after).map(({ kind, text }) =>
      kind === "same" ? text : el(marks[kind], {}, text),
    ),
  );
}

const sides = (fields) =>
  el(
    "div",
    { class: "sides" },
    fields.map((field) => el("div", {}, content(field))),
  );

// Chat messages as a conversation, everything else as it is.
function content(field) {
  if (!filled(field)) return el("span", { class: "soft" }, "–");
  if (typeof field !== "object") return json(field);
  const { messages, rest } = splitMessages(field);
  return [messages ? conversation(messages) : null, rest ? json(rest) : null];
}

const filled = (value) =>
  value !== null &&
  value !== undefined &&
  !(typeof value === "object" && !Object.keys(value).length);
