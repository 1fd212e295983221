// What people and programs said of a step or a session: scores with their history, labels, comments,
// and the forms to add, change and take back.

import { get, mayScore, post, reasonOf, unchanged } from "../api.js";
import { el, thumb } from "../elements.js";
import { minuteOf } from "../values/format.js";
import { authorText, counts, grouped, typedValue, valueText } from "../values/judgements.js";
import { reviewer, reviewerField } from "./reviewer.js";

/** @param {string} sessionId @param {string} eventId a step, or the session itself */
export function judgementPanel(sessionId, eventId, heading = "h3") {
  const list = el("div", { class: "judgements" });
  const status = el("span", { role: "status", class: "soft" });
  const name = input("rating", "Name of the score", "quality");
  const value = input("", "Value of the score", "Value or text");
  const remark = input("", "Comment on the score", "Why (optional)");
  const label = input("", "New label", "Label");
  const comment = /** @type {HTMLTextAreaElement} */ (
    el("textarea", { "aria-label": "New comment", placeholder: "Comment", rows: 1 })
  );
  comment.maxLength = 10_000;
  const author = reviewerField();
  let editable = false;
  let tag = null;

  async function judge(kind, judgement) {
    try {
      const body = { event_id: eventId, kind, author: author.value.trim() || reviewer() };
      await post("/api/judgements", { ...body, ...judgement });
      status.textContent = "Saved";
      await refresh();
      return true;
    } catch (error) {
      status.textContent = reasonOf(error);
      return false;
    }
  }

  async function score(given) {
    if (!name.value.trim()) {
      status.textContent = "A score needs a name";
      name.focus();
      return;
    }
    const saved = await judge("score", {
      name: name.value.trim(),
      value: given,
      comment: remark.value.trim() || null,
    });
    if (saved) value.value = remark.value = "";
  }

  const scoreForm = form("score", "Give feedback", [
    name,
    button("Good", () => score(1), thumb(true)),
    button("Bad", () => score(0), thumb(false)),
    value,
    remark,
    el("button", { type: "submit", class: "quiet" }, "Save"),
    status,
  ]);
  scoreForm.addEventListener("submit", (event) => {
    event.preventDefault();
    if (value.value.trim()) score(typedValue(value.value));
  });
  const labelForm = form("score labels-form", "Add a label", [
    label,
    el("button", { type: "submit", class: "quiet" }, "Label"),
  ]);
  labelForm.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = label.value.trim();
    if (text && (await judge("label", { name: text, value: true }))) label.value = "";
  });
  const commentForm = form("score", "Add a comment", [
    comment,
    el("button", { type: "submit", class: "quiet" }, "Comment"),
  ]);
  commentForm.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = comment.value.trim();
    if (text && (await judge("comment", { value: text }))) comment.value = "";
  });
  const forms = el(
    "div",
    { class: "judge-forms", hidden: true },
    scoreForm,
    labelForm,
    commentForm,
    el("p", { class: "as" }, "as ", author),
  );
  const element = el("div", { class: "section" }, el(heading, {}, "Judgements"), list, forms);

  async function refresh() {
    const path = `/api/sessions/${encodeURIComponent(sessionId)}/judgements`;
    const answer = await get(path, undefined, tag);
    if (answer.body === unchanged) return;
    tag = answer.tag;
    draw(grouped(answer.body.judgements, eventId));
  }

  function draw(groups) {
    const labels = groups.label.filter(counts);
    list.replaceChildren(
      ...[
        labels.length
          ? el("ul", { class: "labels", "aria-label": "Labels" }, labels.map(labelItem))
          : null,
        ...groups.score.map(scoreItem),
        ...groups.comment.filter(counts).map(commentItem),
        ...groups.review.map((group) => entry("reviewed", group)),
      ].filter(Boolean),
    );
  }

  const labelItem = ({ name: title, current }) =>
    el(
      "li",
      { class: "label", title: by(current) },
      title,
      editable
        ? button(`Remove the label ${title}`, () => judge("label", { name: title }), "✕")
        : null,
    );

  const scoreItem = (group) =>
    entry(
      group.name,
      group,
      counts(group)
        ? button(`Remove the score ${group.name}`, () => judge("score", { name: group.name }), "✕")
        : null,
    );

  const commentItem = (group) =>
    entry(
      "comment",
      group,
      button("Edit the comment", (event) => edit(event, group), "Edit"),
      button("Remove the comment", () => judge("comment", { name: group.name }), "✕"),
    );

  /** The last judgement of a name, and those that it replaced. */
  function entry(title, group, ...actions) {
    const { current, history } = group;
    const isText = typeof current.value === "string";
    return el(
      "div",
      { class: counts(group) ? "judgement" : "judgement removed" },
      el(
        "p",
        {},
        el("span", { class: "soft" }, `${title} `),
        isText ? null : el("b", {}, valueText(current.value)),
        el("span", { class: "grow" }),
        editable ? actions : null,
      ),
      isText ? el("p", { class: "prose text", dir: "auto" }, current.value) : null,
      current.comment ? el("p", { class: "prose", dir: "auto" }, current.comment) : null,
      el("p", { class: "by" }, by(current)),
      history.length
        ? el(
            "details",
            {},
            el("summary", {}, `${history.length} before`),
            el(
              "ol",
              {},
              history.map((each) =>
                el(
                  "li",
                  {},
                  el("b", { dir: "auto" }, valueText(each.value)),
                  each.comment ? ` ${each.comment} ` : " ",
                  el("span", { class: "by" }, by(each)),
                ),
              ),
            ),
          )
        : null,
    );
  }

  function edit(event, group) {
    const area = /** @type {HTMLTextAreaElement} */ (
      el("textarea", { "aria-label": "Comment", rows: 2, maxlength: 10_000 })
    );
    area.value = group.current.value;
    const editing = form("score", "Edit the comment", [
      area,
      el("button", { type: "submit", class: "quiet" }, "Save"),
    ]);
    editing.addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      const text = area.value.trim();
      if (text) judge("comment", { name: group.name, value: text });
    });
    event.target.closest(".judgement").replaceChildren(editing);
    area.focus();
  }

  mayScore().then((may) => {
    editable = may;
    forms.hidden = !may;
    refresh().catch((error) => {
      status.textContent = reasonOf(error);
    });
  });
  return { element, refresh: () => refresh().catch(() => {}) };
}

/** The panel of a session, folded until it is wanted. @param {string} id */
export function sessionJudgements(id) {
  const element = el(
    "details",
    { class: "session-judgements" },
    el("summary", {}, "Judge the session"),
  );
  element.addEventListener("toggle", () => {
    if (element.open && element.children.length === 1)
      element.append(judgementPanel(id, id, "h2").element);
  });
  return element;
}

const by = (judgement) => `${authorText(judgement)}, ${minuteOf(judgement.at)}`;

function button(label, onclick, content = label) {
  return el(
    "button",
    { type: "button", class: "quiet small", "aria-label": label, title: label, onclick },
    content,
  );
}

const form = (className, label, children) =>
  el("form", { class: className, "aria-label": label }, children);

function input(value, label, placeholder) {
  return el("input", {
    type: "text",
    value,
    placeholder,
    "aria-label": label,
    maxlength: 10_000,
    spellcheck: "false",
  });
}
