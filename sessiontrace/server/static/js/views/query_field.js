// The search field: completes keys and values while one types, and shows what the server does not
// understand, with its place and a query that works.

import { get } from "../api.js";
import { el } from "../elements.js";
import { completions } from "../values/completions.js";
import { parts, pieceAt } from "../values/query_text.js";

const TEXT_PAUSE_MS = 160;
const FILTER_PAUSE_MS = 500; // half a filter is no filter
const FRESH_MS = 30_000;

/**
 * @param {{text: string, changed: (text: string) => void}} options `changed` gets each query to show
 */
export function queryField({ text, changed }) {
  const input = el("input", {
    type: "search",
    placeholder: "Search, or filter: user:ada cost:>0.1 -status:failed",
    "aria-label": "Filter sessions",
    role: "combobox",
    "aria-expanded": "false",
    "aria-controls": "completions",
    "aria-autocomplete": "list",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
  });
  input.value = text;
  const list = el("ul", {
    id: "completions",
    role: "listbox",
    "aria-label": "Filters",
    hidden: true,
  });
  const fault = el("p", { class: "query-fault", role: "alert", hidden: true });
  const element = el(
    "div",
    { class: "query" },
    el("div", { class: "search" }, input, el("kbd", { "aria-hidden": "true" }, "/"), list),
    fault,
  );
  let known = { keys: [], values: {} };
  let asked = 0;
  let options = [];
  let active = -1;
  let timer = 0;

  async function learn() {
    if (Date.now() - asked < FRESH_MS) return;
    asked = Date.now();
    try {
      known = (await get("/api/filters")).body;
      if (document.activeElement === input) offer();
    } catch {
      asked = 0; // the list says that the server does not answer
    }
  }

  function apply() {
    clearTimeout(timer);
    changed(input.value.trim());
  }

  function offer() {
    const piece = pieceAt(input.value, input.selectionStart ?? input.value.length);
    options = document.activeElement === input ? completions(piece.text, known) : [];
    active = -1;
    draw(piece);
  }

  function draw(piece) {
    list.replaceChildren(
      ...options.map((option, at) =>
        el(
          "li",
          {
            id: `completion-${at}`,
            role: "option",
            "aria-selected": String(at === active),
            onpointerdown: (event) => {
              event.preventDefault(); // the field keeps the focus
              take(piece, option);
            },
          },
          el("b", {}, option.label),
          el("span", { class: "soft" }, option.hint),
        ),
      ),
    );
    list.hidden = !options.length;
    input.setAttribute("aria-expanded", String(options.length > 0));
    if (active >= 0) input.setAttribute("aria-activedescendant", `completion-${active}`);
    else input.removeAttribute("aria-activedescendant");
  }

  function take(piece, option) {
    const end = option.done ? `${option.text} ` : option.text;
    input.value =
      input.value.slice(0, piece.from) + end + input.value.slice(piece.to).replace(/^ /, "");
    const cursor = piece.from + end.length;
    input.setSelectionRange(cursor, cursor);
    if (option.done) apply();
    offer();
  }

  function close() {
    options = [];
    draw(null);
  }

  input.addEventListener("focus", () => {
    learn();
    offer();
  });
  input.addEventListener("blur", () => {
    close();
    if (timer) apply();
  });
  input.addEventListener("click", offer);
  input.addEventListener("input", () => {
    fault.hidden = true;
    input.removeAttribute("aria-invalid");
    offer();
    clearTimeout(timer);
    const pending = pieceAt(input.value, input.selectionStart ?? 0);
    timer = setTimeout(apply, parts(pending.text).colon ? FILTER_PAUSE_MS : TEXT_PAUSE_MS);
  });
  input.addEventListener("keydown", (event) => {
    const piece = pieceAt(input.value, input.selectionStart ?? 0);
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && options.length) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      active = (active + step + options.length + (active < 0 && step < 0 ? 1 : 0)) % options.length;
      draw(piece);
    } else if ((event.key === "Enter" || event.key === "Tab") && active >= 0) {
      event.preventDefault();
      take(piece, options[active]);
    } else if (event.key === "Enter") {
      close();
      apply();
    } else if (event.key === "Escape" && options.length) {
      event.preventDefault();
      event.stopPropagation();
      close();
    }
  });

  /** Show that the server does not understand the query. */
  function complain({ message, details }) {
    const query = input.value.trim();
    const marked = query.slice(details.position, details.position + details.length);
    input.setAttribute("aria-invalid", "true");
    fault.hidden = false;
    fault.replaceChildren(
      ...[
        marked && marked.length < 60 ? el("code", {}, marked) : null,
        el("span", {}, message),
        details.suggestion
          ? el(
              "button",
              { type: "button", class: "quiet", onclick: () => set(details.suggestion) },
              details.suggestion,
            )
          : null,
      ].filter(Boolean),
    );
  }

  function set(query) {
    input.value = query;
    fault.hidden = true;
    input.removeAttribute("aria-invalid");
    apply();
  }

  return {
    element,
    input,
    complain,
    set,
    /** The query is understood. */
    accept() {
      fault.hidden = true;
      input.removeAttribute("aria-invalid");
    },
    stop: () => clearTimeout(timer),
  };
}
