// Cards within a conversation: calls of tools, their results, definitions of tools, and media.

import { el, shape } from "../elements.js";
import { json } from "../json_tree.js";
import { isPicture, prose } from "../markdown.js";
import { text } from "../plain_text.js";
import { bytes } from "../values/format.js";
import { isMarkdown } from "../values/markdown_text.js";
import { isDigest, mediaOf } from "../values/media.js";
import { storedMedium } from "./stored_media.js";

/**
 * The call of a tool, with its result where the conversation has it.
 * @param {any} call a part of the kind "call" @param {any} [result] a part of the kind "result"
 */
export function callCard(call, result) {
  return el(
    "details",
    { class: "card call", open: true },
    el("summary", {}, shape("tool"), "calls ", el("code", {}, call.name)),
    isEmpty(call.value) ? null : value(call.value),
    result ? resultBody(result) : null,
  );
}

/** What a tool returned, where its call is elsewhere. @param {any} result */
export function resultCard(result) {
  return result.name || result.failed
    ? el("div", { class: "card" }, resultBody(result))
    : el("div", { class: "said" }, contentOf(result.value));
}

function resultBody(result) {
  return el(
    "div",
    { class: result.failed ? "result failed" : "result" },
    el(
      "div",
      { class: "result-head" },
      result.failed ? "failed" : "returned",
      result.name ? [" ", el("code", {}, result.name)] : null,
    ),
    contentOf(result.value),
  );
}

const isEmpty = (content) =>
  content === undefined ||
  content === null ||
  (typeof content === "object" && !Object.keys(content).length);

const value = (content) => (typeof content === "string" ? text(content, "prose") : json(content));

function contentOf(content) {
  if (content === undefined || content === null) return el("span", { class: "j-null" }, "nothing");
  const media = Array.isArray(content) ? content.map(mediaIn) : [mediaIn(content)];
  if (media.length && media.every(Boolean)) return el("div", {}, media.map(mediaCard));
  return value(content);
}

const mediaIn = (content) =>
  content !== null && typeof content === "object" && !Array.isArray(content)
    ? mediaOf(content)
    : null;

/** A picture, a sound or a file: itself if its pixels are here, else what is known of it. */
export function mediaCard(media) {
  const { type, label, bytes: length, digest, source, stored } = media;
  if (stored) return storedMedium(media);
  if (isPicture(source))
    return el("img", { src: source, alt: label || "picture", class: "picture" });
  const address = source && !source.startsWith("data:") ? source : null;
  return el(
    "div",
    { class: "card media" },
    el("strong", {}, type),
    length === null ? null : el("span", { class: "soft" }, bytes(length)),
    label ? el("span", {}, label) : null,
    digest ? el("code", { title: `SHA-256 ${digest}` }, digest.slice(0, 12)) : null,
    address ? text(address, "j-text mono") : null,
  );
}

/**
 * A value within JSON that a reader wants in another form: a medium as a card, a page of markdown as
 * one; else null.
 * @param {any} content
 */
export function richValue(content) {
  if (typeof content === "string") return isMarkdown(content) ? prose(content) : null;
  return isDigest(content) ? mediaCard(mediaOf(content)) : null;
}

/** The definitions of tools. @param {any[]} definitions as `toolDefinitions` gives them */
export function toolCards(definitions, options = {}) {
  return el(
    "div",
    { class: "tools" },
    definitions.map((tool) =>
      el(
        "details",
        { class: "card tool" },
        el(
          "summary",
          {},
          shape("tool"),
          el("code", {}, tool.name),
          el("span", { class: "j-peek" }, tool.description.slice(0, 120)),
        ),
        tool.description ? prose(tool.description, options) : null,
        parameters(tool.schema) ?? json(tool.whole),
      ),
    ),
  );
}

function parameters(schema) {
  const { properties } = schema ?? {};
  if (properties === null || typeof properties !== "object") return null;
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  const rows = Object.entries(properties);
  if (!rows.length) return el("p", { class: "soft" }, "No parameters");
  return el(
    "dl",
    { class: "j parameters" },
    rows.map(([name, property]) => parameter(name, property, required.has(name))),
  );
}

function parameter(name, property, isRequired) {
  const { type, description, ...details } = property ?? {};
  return el(
    "div",
    {},
    el("dt", {}, name),
    el(
      "dd",
      {},
      el(
        "span",
        { class: "soft" },
        [typeof type === "string" ? type : "", isRequired ? "required" : ""]
          .filter(Boolean)
          .join(", "),
      ),
      typeof description === "string" ? el("div", { dir: "auto" }, description) : null,
      Object.keys(details).length ? json(details) : null,
    ),
  );
}
