// The bar at the bottom of the list: what can be done with the sessions that are selected.

import { el } from "../elements.js";
import { amount } from "../values/format.js";

/** @param {{picked: Set<string>, navigate: (path: string) => void, clear: () => void}} options */
export function selectionBar({ picked, navigate, clear }) {
  const compare = el(
    "button",
    {
      type: "button",
      class: "compare",
      onclick: () => navigate(`/compare/${[...picked].map(encodeURIComponent).join("/")}`),
    },
    "Compare these two",
  );
  const download = el("a", { class: "quiet", download: "sessions.jsonl" });
  const element = el(
    "div",
    { class: "selection", role: "region", "aria-label": "Selection", hidden: true },
    compare,
    download,
    el("button", { type: "button", class: "quiet", onclick: clear }, "Clear"),
  );
  return {
    element,
    show() {
      element.hidden = !picked.size;
      compare.hidden = picked.size !== 2;
      download.textContent = `Export ${amount(picked.size, "session")}`;
      download.href = `/api/sessions.jsonl?${new URLSearchParams({ ids: [...picked].join(",") })}`;
    },
  };
}
