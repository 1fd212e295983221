// The bar below the head of a session: whether it is reviewed, by whom, and its place in the queue.
// Keys: r marks it as reviewed and goes to the next one of the queue, n and p go on and back.

import { get, mayScore, post, reasonOf } from "../api.js";
import { el } from "../elements.js";
import { amount } from "../values/format.js";
import { neighbours } from "./queue.js";
import { reviewer, reviewerField } from "./reviewer.js";

/** @param {{id: string, queue: string | null, navigate: (path: string) => void}} options */
export function reviewBar({ id, queue, navigate }) {
  const author = reviewerField();
  const mark = el("button", { type: "button", class: "quiet mark-reviewed", hidden: true });
  const status = el("span", { class: "review-state", role: "status" });
  const place = el("span", { class: "soft" });
  const [previous, next] = [
    ["Previous", "p"],
    ["Next", "n"],
  ].map(([title, key]) =>
    el(
      "a",
      { class: "quiet", "data-route": true, hidden: true, title: `${title} (${key})` },
      title,
    ),
  );
  const element = el(
    "section",
    { class: "review-bar", "aria-label": "Review", hidden: true },
    status,
    el("span", { class: "as", hidden: true }, "as ", author),
    mark,
    queue === null ? null : el("span", { class: "queue" }, place, previous, next),
  );
  let session = null;
  let may = false;

  async function load() {
    const answer = await get(`/api/sessions/${encodeURIComponent(id)}`);
    session = answer.body.session;
    may = await mayScore();
    draw();
    if (queue !== null) await drawQueue();
  }

  function draw() {
    const { reviewed, labels } = session;
    element.hidden = false;
    element.dataset.reviewed = String(reviewed !== null);
    status.textContent = [
      reviewed === null ? "Not reviewed" : reviewed ? `Reviewed by ${reviewed}` : "Reviewed",
      labels.length ? `labels: ${labels.join(", ")}` : "",
    ]
      .filter(Boolean)
      .join(" · ");
    mark.hidden = !may;
    author.closest(".as").hidden = !may;
    mark.textContent = reviewed === null ? "Mark as reviewed" : "Not reviewed";
    mark.title = reviewed === null ? "Mark as reviewed (r)" : "Take the mark back (r)";
  }

  async function drawQueue() {
    const answer = await neighbours(session, queue);
    place.textContent = `${queue || "all sessions"}: ${amount(answer.total, "session")}`;
    for (const [link, path] of [
      [previous, answer.previous],
      [next, answer.next],
    ]) {
      link.hidden = path === null;
      if (path !== null) link.href = path;
    }
  }

  async function toggle() {
    if (!session || !may) return;
    const value = session.reviewed === null ? true : null;
    try {
      const name = author.value.trim() || reviewer();
      await post("/api/judgements", {
        event_id: session.session_id,
        kind: "review",
        value,
        author: name,
      });
    } catch (error) {
      status.textContent = reasonOf(error);
      return;
    }
    if (value && queue !== null && !next.hidden) return navigate(next.getAttribute("href"));
    await load().catch(() => {});
  }
  mark.addEventListener("click", toggle);
  const ready = load().catch(() => {}); // the view says what is wrong

  return {
    element,
    refresh: () => load().catch(() => {}),
    /** Whether the key was one of the bar's. @param {KeyboardEvent} event */
    key(event) {
      if (event.key === "r" && may) toggle();
      else if (event.key === "n" && queue !== null) ready.then(() => follow(next));
      else if (event.key === "p" && queue !== null) ready.then(() => follow(previous));
      else return false;
      event.preventDefault();
      return true;
    },
  };

  function follow(link) {
    if (!link.hidden) navigate(link.getAttribute("href"));
  }
}
