// The name under which this browser judges. It stays in this browser.

import { el } from "../elements.js";

const KEY = "sessiontrace.reviewer";
const NAME_CHARS = 100;

/** The reviewer's name; "" before one was entered. */
export function reviewer() {
  try {
    return localStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

/** The field for the name. */
export function reviewerField() {
  const input = el("input", {
    type: "text",
    class: "reviewer",
    value: reviewer(),
    maxlength: NAME_CHARS,
    placeholder: "Your name",
    "aria-label": "Your name, as author of what you judge",
    autocomplete: "name",
    spellcheck: "false",
  });
  input.addEventListener("change", () => {
    try {
      localStorage.setItem(KEY, input.value.trim());
    } catch {
      // No storage: the name counts as long as the field is there.
    }
  });
  return input;
}
