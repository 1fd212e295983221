// How much the store holds and how long it keeps it, in a dialog; a rule is changed there after the
// page has shown what it deletes.

import { get, post, reasonOf } from "../api.js";
import { el } from "../elements.js";
import { amount, bytes, moment } from "../values/format.js";
import { describedRule, previewText, ruleOf } from "../values/retention.js";

/** The button that opens the dialog. */
export function storageButton() {
  return el("button", { type: "button", class: "quiet", onclick: open }, "Storage");
}

function open() {
  const content = el("div", {}, el("p", { role: "status" }, "Loading"));
  const close = el("button", { type: "button" }, "Close");
  const dialog = /** @type {HTMLDialogElement} */ (
    el(
      "dialog",
      { class: "storage", "aria-labelledby": "storage-title" },
      el("h2", { id: "storage-title" }, "Storage"),
      content,
      el("div", { class: "actions" }, close),
    )
  );
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // keys of the page below
  document.body.append(dialog);
  dialog.showModal();
  load(content);
}

async function load(content) {
  try {
    show(content, (await get("/api/retention")).body);
  } catch (error) {
    content.replaceChildren(el("p", { class: "failure" }, reasonOf(error)));
  }
}

function show(content, state) {
  const { media } = state;
  const size = state.stored_bytes === null ? "" : `, ${bytes(state.stored_bytes)}`;
  const most = media.limits ? ` of at most ${bytes(media.limits.total_bytes)}` : "";
  content.replaceChildren(
    el("p", {}, `${amount(state.stored, "session")}${size}.`),
    el("p", {}, `${files(media.count)}, ${bytes(media.bytes)}${most}.`),
    el("h3", {}, "Retention"),
    state.rule ? form(content, state) : el("p", {}, describedRule(state)),
    el("h3", {}, "Deleted"),
    deletions(state.deletions),
  );
}

const files = (count) => amount(count, "image, sound or file", "images, sounds and files");

function form(content, state) {
  const days = field("Delete sessions without activity for", "days", state.rule.days ?? "");
  const mebibytes = Math.round((state.rule.most_bytes ?? 0) / 1048576) || "";
  const size = field("Delete the oldest sessions above", "MiB", mebibytes);
  const status = el("p", { role: "status" });
  const review = el("button", { type: "submit" }, "Show what this deletes");
  const node = el(
    "form",
    { class: "retention" },
    el("p", { class: "soft" }, describedRule(state)),
    days.row,
    size.row,
    el("p", { class: "soft" }, "An empty field sets no limit."),
    status,
    el("div", { class: "actions" }, review),
  );
  if (!state.may_change) {
    for (const input of [days.input, size.input, review]) input.disabled = true;
    status.textContent = "Changing it requires an API key that may ingest and read.";
  }
  node.addEventListener("submit", (event) => {
    event.preventDefault();
    confirmChange(content, { days: days.input, size: size.input, status, review });
  });
  return node;
}

function field(label, unit, value) {
  const input = el("input", { type: "number", min: "1", max: "1048576", step: "any", value });
  const row = el("label", { class: "limit" }, el("span", {}, label), input, el("span", {}, unit));
  return { row, input: /** @type {HTMLInputElement} */ (input) };
}

async function confirmChange(content, { days, size, status, review }) {
  const rule = ruleOf(days.value, size.value);
  try {
    const query = new URLSearchParams({
      days: String(rule.days ?? ""),
      most_bytes: String(rule.most_bytes ?? ""),
    });
    const { body } = await get(`/api/retention/preview?${query}`);
    const set = el("button", { type: "button", class: body.sessions ? "danger" : "" });
    set.textContent = body.sessions ? `Set, and delete ${amount(body.sessions, "session")}` : "Set";
    status.textContent = previewText(body, moment);
    review.replaceWith(set);
    for (const input of [days, size]) input.disabled = true;
    set.focus();
    set.addEventListener("click", async () => {
      set.disabled = true;
      try {
        await post("/api/retention", { ...rule, expect: body.sessions });
        await load(content);
      } catch (error) {
        status.textContent = `Not changed: ${reasonOf(error)}`;
        set.remove();
      }
    });
  } catch (error) {
    status.textContent = reasonOf(error);
  }
}

function deletions(days) {
  if (!days.length) return el("p", {}, "Nothing yet.");
  const row = (day) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, day.day),
      ["age", "size", "by hand", "media"].map((name) => el("td", {}, String(day[name] ?? 0))),
    );
  return el(
    "table",
    {},
    el("caption", {}, "Sessions deleted on a day (UTC), and the media that went with them"),
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        ["Day", "For age", "For size", "By hand", "Media"].map((name) =>
          el("th", { scope: "col" }, name),
        ),
      ),
    ),
    el("tbody", {}, days.map(row)),
  );
}
