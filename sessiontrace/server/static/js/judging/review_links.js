// The list's way to reviewing: what is not reviewed yet, the queue of what the list shows, and all of
// it as a file.

import { reasonOf } from "../api.js";
import { setsPath } from "../comparing/compare_sets.js";
import { el } from "../elements.js";
import { firstOf } from "./queue.js";

const UNREVIEWED = "reviewed:no status:failed";

/**
 * @param {{query: () => string, filter: (q: string) => void, navigate: (path: string) => void}} options
 */
export function reviewLinks({ query, filter, navigate }) {
  const note = el("span", { class: "soft", role: "status" });
  const unreviewed = el(
    "button",
    { type: "button", class: "toggle", title: UNREVIEWED, onclick: () => filter(UNREVIEWED) },
    "Unreviewed failures",
  );
  const start = el(
    "button",
    { type: "button", class: "toggle", title: "Review what the query finds, one after the other" },
    "Review",
  );
  start.addEventListener("click", async () => {
    try {
      const path = await firstOf(query());
      if (path) navigate(path);
      else note.textContent = "Nothing to review";
    } catch (error) {
      note.textContent = reasonOf(error);
    }
  });
  const sets = el(
    "a",
    { class: "toggle", "data-route": true, title: "What the query finds beside another set" },
    "Compare sets",
  );
  const download = el(
    "a",
    {
      class: "toggle",
      download: "sessions.jsonl",
      title: "All that the list finds, as JSON lines",
    },
    "Export",
  );
  return {
    element: el("span", { class: "review-links" }, unreviewed, start, sets, download, note),
    /** @param {string} path of the file */
    show(path) {
      download.href = path;
      sets.href = setsPath(query());
      note.textContent = "";
      unreviewed.hidden = query() === UNREVIEWED;
    },
  };
}
