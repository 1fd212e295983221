// One turn of a thread as an element: who said what, the tools between, and what it took.

import { get, reasonOf } from "./api.js";
import { mediaCard } from "./chat/cards.js";
import { el, shape } from "./elements.js";
import { json } from "./json_tree.js";
import { prose } from "./markdown.js";
import { text } from "./plain_text.js";
import {
  amount,
  bytes,
  clockTime,
  cost,
  count,
  dayName,
  duration,
  moment,
  scoreText,
} from "./values/format.js";
import { normalized } from "./values/message_parts.js";
import { groupsOf, isUser, roleName, sessionPath, toolNames } from "./values/thread.js";

/**
 * @param {{turn: any, number: number, begins: boolean}} row
 * @param {string} sessionId
 * @param {{heading?: string}} [options] the level of the turn's heading
 */
export function turnElement({ turn, number, begins }, sessionId, { heading = "h2" } = {}) {
  const label = `turn-${turn.turn_id}`;
  return el(
    "article",
    {
      class: turn.errors || turn.error !== null ? "turn failed" : "turn",
      tabindex: "0",
      "data-id": turn.turn_id,
      "aria-labelledby": label,
      "aria-posinset": number,
      "aria-setsize": "-1",
    },
    begins ? el("p", { class: "turn-day" }, dayName(turn.start_time)) : null,
    el(
      "header",
      { class: "turn-head" },
      el(heading, { id: label }, `Turn ${count(number)}`),
      facts(turn, sessionId),
      el(
        "a",
        {
          href: sessionPath(sessionId, "tree", turn.turn_id),
          "data-route": true,
          class: "steps-of",
        },
        turn.steps ? amount(turn.steps, "step") : "Details",
      ),
    ),
    groupsOf(turn).map((group) => groupElement(group, turn, sessionId)),
    turn.error !== null ? el("p", { class: "failure", dir: "auto" }, turn.error) : null,
  );
}

function facts(turn, sessionId) {
  const at = turn.start_time;
  const state = ["open", "abandoned", "cancelled"].includes(turn.status) ? turn.status : "";
  const values = [
    el("time", { datetime: new Date(at).toISOString(), title: moment(at) }, clockTime(at)),
    state ? el("span", { class: `status s-${state}` }, state) : null,
    turn.duration === null ? null : el("span", { title: "Duration" }, duration(turn.duration)),
    turn.tokens ? el("span", {}, amount(turn.tokens, "token")) : null,
    cost(turn) ? el("span", { title: "Cost" }, cost(turn)) : null,
    turn.errors
      ? el(
          "a",
          {
            class: "bad",
            href: sessionPath(sessionId, "tree", turn.failed),
            "data-route": true,
            title: "The first step that failed",
          },
          amount(turn.errors, "error"),
        )
      : null,
    ...Object.entries(turn.scores).map((entry) =>
      el("span", { class: "chip", title: "Score" }, scoreText(entry)),
    ),
  ];
  // The separators are text: screen readers read the line as its text.
  return el(
    "p",
    { class: "turn-facts" },
    values.filter(Boolean).flatMap((value, at) => (at ? [" ", value] : [value])),
  );
}

function groupElement({ kind, lines }, turn, sessionId) {
  if (kind === "tools") return tools(turn, sessionId);
  if (kind === "said") return lineElement(lines[0], sessionId);
  const all = lines.length + (kind === "earlier" ? turn.omitted : 0);
  const title =
    kind === "system"
      ? `Instructions, ${bytes(lines[0].length ?? lines[0].text.length)}`
      : `${amount(all, "earlier message")}, said before the first turn here`;
  return folded(`folded in-${kind}`, title, () => [
    ...lines.map((line) => lineElement(line, sessionId)),
    kind === "earlier" && turn.omitted
      ? el("p", { class: "soft" }, `${amount(turn.omitted, "message")} more in the first call`)
      : null,
  ]);
}

/** Content that is made when it is opened. */
function folded(className, title, make) {
  const node = el("details", { class: className, "data-key": className }, el("summary", {}, title));
  let isMade = false;
  node.addEventListener("toggle", () => {
    if (isMade || !node.open) return;
    isMade = true;
    node.append(...make().filter(Boolean));
  });
  return node;
}

function lineElement(line, sessionId) {
  const side = isUser(line) ? "from-user" : "from-model";
  return el(
    "div",
    { class: `line ${side}` },
    el("p", { class: "role" }, roleName(line.role)),
    line.reasoning
      ? folded("folded in-reasoning", "Reasoning", () => [prose(line.reasoning)])
      : null,
    line.text ? el("div", { class: "said" }, prose(line.text)) : null,
    line.data !== null ? el("div", { class: "said" }, value(line.data)) : null,
    normalized({ role: "user", content: line.parts }).parts.map(part),
    line.length
      ? el(
          "a",
          { class: "quiet", href: sessionPath(sessionId, "tree", line.step), "data-route": true },
          `The whole text, ${bytes(line.length)}, is in its step`,
        )
      : null,
  );
}

/** A part of a message that is not a text. @param {any} content as `normalized` gives it */
function part(content) {
  if (content.kind === "media") return mediaCard(content.media);
  return el("div", { class: "said" }, content.text ? prose(content.text) : value(content.value));
}

const value = (content) =>
  content !== null && typeof content === "object" ? json(content) : text(String(content));

function tools(turn, sessionId) {
  const failed = turn.tools.filter((tool) => tool.error !== null).length;
  const title = [
    el("span", { class: "count" }, amount(turn.tools.length, "tool call")),
    " ",
    el("span", { class: "names" }, toolNames(turn.tools).join(", ")),
    failed ? [" ", el("span", { class: "bad" }, `${count(failed)} failed`)] : null,
  ].flat();
  return folded("folded in-tools", title, () => [
    el(
      "ul",
      {},
      turn.tools.map((tool) => el("li", {}, toolElement(tool, sessionId))),
    ),
  ]);
}

function toolElement(tool, sessionId) {
  const title = [
    shape("tool"),
    el("code", {}, tool.name),
    " ",
    tool.duration === null ? null : el("span", { class: "soft" }, duration(tool.duration)),
    " ",
    tool.error !== null ? el("span", { class: "bad" }, "failed") : null,
  ].filter(Boolean);
  return folded("folded in-tool", title, () => {
    const place = el("div", { class: "tool-content" });
    if (tool.event_id === null) fill(place, tool.arguments, tool.result, null);
    else load(place, tool.event_id, sessionId);
    return [place];
  });
}

async function load(place, eventId, sessionId) {
  try {
    const { body } = await get(`/api/events/${encodeURIComponent(eventId)}`);
    fill(place, body.inputs, body.outputs, body.error ?? null);
    place.append(
      el(
        "a",
        { href: sessionPath(sessionId, "tree", eventId), "data-route": true, class: "quiet small" },
        "Open the step",
      ),
    );
  } catch (error) {
    place.replaceChildren(el("p", { class: "failure" }, reasonOf(error)));
  }
}

function fill(place, given, result, error) {
  const isEmpty = (content) =>
    content === null ||
    content === undefined ||
    (typeof content === "object" && !Object.keys(content).length);
  const parts = [
    ["Arguments", given],
    ["Result", result],
  ].flatMap(([title, content]) =>
    isEmpty(content) ? [] : [el("p", { class: "role" }, title), value(content)],
  );
  place.replaceChildren(
    ...parts,
    ...(error === null ? [] : [el("p", { class: "failure", dir: "auto" }, String(error))]),
  );
}
