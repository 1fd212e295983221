// Views of the list that were saved under a name, in this browser.

import { el } from "../elements.js";

const KEY = "sessiontrace.views";
const MOST = 50;
const NAME_CHARS = 60;

/** @param {{address: () => string, navigate: (path: string) => void}} options */
export function savedViews({ address, navigate }) {
  const name = el("input", {
    type: "text",
    maxlength: NAME_CHARS,
    placeholder: "Name of this view",
    "aria-label": "Name of this view",
  });
  const list = el("ul", {});
  const form = el(
    "form",
    { class: "save-view" },
    name,
    el("button", { type: "submit", class: "quiet" }, "Save"),
  );
  const summary = el("summary", { class: "toggle" }, "Views");
  const element = el(
    "details",
    { class: "views" },
    summary,
    el("div", { class: "views-panel" }, list, form),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = name.value.trim();
    if (!text) return;
    store([...stored().filter((view) => view.name !== text), { name: text, search: address() }]);
    name.value = "";
    draw();
  });
  element.addEventListener("toggle", () => {
    if (element.open) draw();
  });
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !element.open) return;
    event.stopPropagation();
    element.open = false;
    summary.focus();
  });
  const outside = (event) => {
    if (!element.contains(event.target)) element.open = false;
  };
  document.addEventListener("pointerdown", outside);

  function draw() {
    const views = stored();
    list.hidden = !views.length;
    list.replaceChildren(
      ...views.map((view) =>
        el(
          "li",
          {},
          el(
            "button",
            { type: "button", class: "view", onclick: () => navigate(`/${view.search}`) },
            view.name,
          ),
          el(
            "button",
            {
              type: "button",
              class: "quiet",
              "aria-label": `Remove the view ${view.name}`,
              onclick: () => {
                store(stored().filter((each) => each.name !== view.name));
                draw();
              },
            },
            "✕",
          ),
        ),
      ),
    );
  }

  return { element, stop: () => document.removeEventListener("pointerdown", outside) };
}

function stored() {
  try {
    const views = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(views) ? views.filter(isView) : [];
  } catch {
    return []; // no storage, or not ours
  }
}

const isView = (view) =>
  typeof view?.name === "string" &&
  typeof view?.search === "string" &&
  (view.search === "" || view.search.startsWith("?"));

function store(views) {
  try {
    localStorage.setItem(KEY, JSON.stringify(views.slice(-MOST)));
  } catch {
    // The browser has no room, or allows no storage: the address still holds the view.
  }
}
