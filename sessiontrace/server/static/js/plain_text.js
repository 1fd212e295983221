// A text as it is, cut where it is long.

import { el } from "./elements.js";
import { bytes } from "./values/format.js";

const LONG = 1200;

/** @param {string} value @param {string} [className] */
export function text(value, className = "j-text") {
  if (value === "") return el("span", { class: "j-null" }, "empty text");
  if (value.length <= LONG) return el("span", { class: className, dir: "auto" }, value);
  const shown = el("span", { class: className, dir: "auto" }, `${value.slice(0, LONG)}…`);
  const button = el(
    "button",
    { type: "button", class: "quiet small" },
    `Show all ${bytes(value.length)}`,
  );
  button.addEventListener("click", () => {
    shown.textContent = value;
    button.remove();
  });
  return el("span", {}, shown, " ", button);
}
