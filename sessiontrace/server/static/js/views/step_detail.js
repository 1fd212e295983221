// The selected step, or the session itself: its facts, error, inputs and outputs.

import { richValue, toolCards } from "../chat/cards.js";
import { conversation } from "../chat/conversation.js";
import { copyButton, el, shape } from "../elements.js";
import { json } from "../json_tree.js";
import { rawSwitch } from "../raw_switch.js";
import { splitMessages, toolDefinitions } from "../values/chat_messages.js";
import { curl } from "../values/curl.js";
import { amount, cost, count, duration, moment } from "../values/format.js";
import { startOf } from "../values/tree.js";

const SECTIONS = [
  ["inputs", "Inputs"],
  ["outputs", "Outputs"],
  ["config", "Config"],
  ["metrics", "Metrics"],
  ["feedback", "Feedback"],
  ["user_properties", "User"],
  ["metadata", "Metadata"],
];

export function detail({ session, summary, record, earlier = null, turns, close, feedback }) {
  const type = summary ? (summary.turn ? "turn" : summary.type) : "session";
  const failure = summary ? summary.error : session.error;
  const status = summary ? summary.status : session.status;
  return el(
    "div",
    { class: "inner" },
    el(
      "header",
      {},
      el(
        "div",
        { class: "title" },
        shape(type),
        el("h2", {}, summary ? summary.name : (session.name ?? "unnamed session")),
        el(
          "button",
          { type: "button", class: "quiet close", "aria-label": "Close", onclick: close },
          "✕",
        ),
      ),
      el(
        "div",
        { class: "badges" },
        el("span", { class: `tag type-${type}` }, type),
        failure !== null ? el("span", { class: "status s-error" }, "error") : null,
        status === "ended" ? null : el("span", { class: `status s-${status}` }, status),
        el("span", { class: "grow" }),
        copyButton("Copy JSON", () => JSON.stringify(record, null, 2)),
        copyButton("Copy curl", () => curl(record, type, location.origin)),
      ),
    ),
    facts(session, summary, record),
    failure !== null ? failed(failure, record) : null,
    summary === null && turns > 0
      ? el(
          "p",
          { class: "soft" },
          `A conversation of ${amount(turns, "turn")}: each has inputs and outputs of its own.`,
        )
      : null,
    SECTIONS.map(([name, title]) =>
      section(
        title,
        content(name, record[name]),
        name === "inputs" ? chatOptions(earlier, session) : {},
      ),
    ),
    feedback,
    ids(record, summary),
  );
}

function facts(session, summary, record) {
  if (!summary) return null;
  const tokens = record.metadata ?? {};
  const both =
    typeof tokens.prompt_tokens === "number" && typeof tokens.completion_tokens === "number";
  const rows = [
    ["Took", summary.duration === null ? "still running" : duration(summary.duration)],
    [
      "Starts",
      `${duration(Math.max(0, startOf(summary) - startOf(session)))} in`,
      moment(summary.start_time),
    ],
    ["Model", typeof record.config?.model === "string" ? record.config.model : null],
    [
      "Tokens",
      summary.tokens
        ? both
          ? `${count(tokens.prompt_tokens)} in, ${count(tokens.completion_tokens)} out`
          : count(summary.tokens)
        : null,
    ],
    ["First chunk", summary.first_chunk === null ? null : `after ${duration(summary.first_chunk)}`],
    ["Cost", cost(summary), sourceOfCost(tokens)],
  ].filter(([, value]) => value !== null);
  return el(
    "dl",
    { class: "facts" },
    rows.map(([name, value, title]) =>
      el("div", {}, el("dt", {}, name), el("dd", { title }, value)),
    ),
  );
}

function sourceOfCost(metadata) {
  if (!["custom", "genai-prices"].includes(metadata.cost_source)) return null;
  return `computed: ${[metadata.cost_source, metadata.cost_version].filter(Boolean).join(" ")}`;
}

function failed(failure, record) {
  const recorded = record.metadata?.error;
  const stack = recorded && typeof recorded.stack === "string" ? recorded.stack : "";
  return el(
    "section",
    { class: "failure" },
    el(
      "p",
      { dir: "auto" },
      recorded && typeof recorded.type === "string" && typeof recorded.message === "string"
        ? [el("strong", {}, recorded.type), el("br"), recorded.message]
        : failure,
    ),
    stack ? el("details", {}, el("summary", {}, "Stack"), el("pre", {}, stack)) : null,
  );
}

function content(name, field) {
  if (field === null || typeof field !== "object" || !Object.keys(field).length) return null;
  if (name === "metadata" && field.error) {
    const { error, ...rest } = field;
    return Object.keys(rest).length ? rest : null;
  }
  return field;
}

/** How the chat of a call is drawn: what it repeats of the call before is folded. */
function chatOptions(earlier, session) {
  if (!earlier) return {};
  const { call, count: messages } = earlier;
  const at = duration(Math.max(0, startOf(call) - startOf(session)));
  return { earlier: messages, earlierNote: `, known from ${call.name} at ${at}` };
}

function section(title, field, options = {}) {
  if (field === null) return null;
  const body = el("div", { class: "body" });
  const draw = (raw) =>
    body.replaceChildren(...(raw ? [json(field)] : rendered(title, field, options)));
  return el(
    "details",
    { class: "section", open: true },
    el("summary", {}, el("h3", {}, title)),
    el(
      "div",
      { class: "copy" },
      title === "Inputs" || title === "Outputs" || title === "Config"
        ? rawSwitch(draw)
        : draw(false),
      copyButton("Copy", () => JSON.stringify(field, null, 2)),
    ),
    body,
  );
}

/** A field as its reader wants it: a chat, cards of tools, and JSON with texts in markdown. */
function rendered(title, field, options) {
  if (title === "Config") {
    const tools = toolDefinitions(field.tools);
    const { tools: _, ...rest } = field;
    if (tools)
      return [toolCards(tools), Object.keys(rest).length ? json(rest) : null].filter(Boolean);
  }
  if (title !== "Inputs" && title !== "Outputs") return [json(field)];
  const { messages, rest } = splitMessages(field);
  return [
    messages ? conversation(messages, options) : null,
    rest ? json(rest, richValue) : null,
  ].filter(Boolean);
}

function ids(record, summary) {
  const rows = [
    ["Event", record.event_id],
    ["Parent", summary?.parent_id],
    ["Session", record.session_id],
  ].filter(([, value]) => typeof value === "string");
  return el(
    "details",
    { class: "section ids" },
    el("summary", {}, el("h3", {}, "Ids")),
    el(
      "dl",
      { class: "j" },
      rows.map(([name, value]) =>
        el("div", {}, el("dt", {}, name), el("dd", { class: "mono" }, value)),
      ),
    ),
  );
}
