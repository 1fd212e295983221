// The switch between what a record means, as chat and markdown, and what it is, as JSON. A switch
// changes its own section, and the sections that are drawn after it.

import { el } from "./elements.js";

const KEY = "sessiontrace.raw";
let raw = stored();

function stored() {
  try {
    return localStorage.getItem(KEY) === "1";
  } catch {
    return false; // the browser forbids it
  }
}

/**
 * A button that draws its section anew; draws it once at once.
 * @param {(raw: boolean) => void} draw
 */
export function rawSwitch(draw) {
  let own = raw;
  const button = el("button", { type: "button", class: "quiet raw", "aria-pressed": own }, "Raw");
  button.setAttribute("aria-pressed", String(own));
  button.addEventListener("click", () => {
    own = !own;
    raw = own;
    try {
      localStorage.setItem(KEY, own ? "1" : "0");
    } catch {
      // For this page only, then.
    }
    button.setAttribute("aria-pressed", String(own));
    draw(own);
  });
  draw(own);
  return button;
}
