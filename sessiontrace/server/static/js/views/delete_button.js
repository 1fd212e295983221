// The button that deletes a session: it asks first, in a dialog, and says what the server did.

import { mayScore, post, reasonOf } from "../api.js";
import { el } from "../elements.js";
import { amount, count } from "../values/format.js";

/**
 * A button for the head of a session, where this browser's key may delete.
 * @param {any} session @param {string} listPath where the list is, with its filters
 */
export function deleteButton(session, listPath) {
  const button = el("button", { type: "button", class: "quiet", hidden: true }, "Delete");
  button.addEventListener("click", () => open(session, listPath));
  mayScore().then((may) => {
    button.hidden = !may;
  });
  return button;
}

function open(session, listPath) {
  const message = el("p", { role: "status" });
  const confirm = el("button", { type: "button", class: "danger" }, "Delete session");
  const cancel = el("button", { type: "button" }, "Cancel");
  const listLink = el("a", { href: listPath, "data-route": true });
  const dialog = /** @type {HTMLDialogElement} */ (
    el(
      "dialog",
      { class: "delete", "aria-labelledby": "delete-title" },
      el("h2", { id: "delete-title" }, `Delete “${session.name ?? "unnamed session"}”?`),
      el(
        "p",
        {},
        `${steps(session.events)} leave the store and its search index. This cannot be undone.`,
      ),
      message,
      el("div", { class: "actions" }, cancel, confirm),
    )
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // keys of the page below
  cancel.addEventListener("click", () => dialog.close());
  confirm.addEventListener("click", async () => {
    for (const button of [cancel, confirm]) button.remove();
    dialog.append(listLink); // first to the list: the view of the session would ask for it again
    listLink.click();
    listLink.remove();
    try {
      report(dialog, await post("/api/sessions/delete", { ids: [session.session_id] }));
    } catch (error) {
      message.textContent = `Not deleted: ${reasonOf(error)}`;
      addClose(dialog);
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  cancel.focus();
}

const steps = (number) =>
  number === 1 ? "Its step and all texts" : `Its ${count(number)} steps and all their texts`;

function report(dialog, erased) {
  dialog.replaceChildren(
    el("h2", { id: "delete-title" }, erased.sessions ? "Deleted" : "It was deleted before"),
    el(
      "p",
      { role: "status" },
      erased.remains
        ? `The rows are gone: ${erased.remains}.`
        : "No byte of it is left in the store.",
      erased.media ? ` ${amount(erased.media, "medium", "media")} went with it.` : "",
    ),
  );
  addClose(dialog);
}

function addClose(dialog) {
  const close = el("button", { type: "button" }, "Close");
  close.addEventListener("click", () => dialog.close());
  dialog.append(el("div", { class: "actions" }, close));
  close.focus();
}
