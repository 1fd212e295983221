// What the list shows when it has no rows: how to record the first session, or why there is none.

import { copyButton, el, shape } from "./elements.js";

const CODE = `import sessiontrace as st

st.init("local")

with st.session("hello", user="ada"):
    with st.span("think", type="model", inputs={"question": "6 x 7"}) as span:
        span.set(outputs={"answer": 42})
`;

export function notice(title, text, button = null) {
  return [el("h2", {}, title), el("p", {}, text), button].filter(Boolean);
}

/** The view of an address that the page does not have. @param {any} context */
export function notFoundView({ main, setStatus, setCrumbs, listPath }) {
  setCrumbs(el("span", { class: "here" }, "Page not found"));
  setStatus("live");
  document.title = "Page not found · sessiontrace";
  const link = el("a", { href: listPath, "data-route": true, class: "quiet" }, "All sessions");
  main.append(
    el(
      "div",
      { class: "note" },
      el("h1", {}, "Page not found"),
      el("p", {}, "This address leads nowhere; a part of it may be missing."),
      link,
    ),
  );
  return { save: () => ({}), close() {}, key() {} };
}

export function welcome(store) {
  return [
    el(
      "div",
      { class: "trio", "aria-hidden": "true" },
      shape("chain"),
      shape("tool"),
      shape("model"),
    ),
    el("h2", {}, "No sessions yet"),
    el("p", {}, "Run this program. Its session appears here:"),
    el(
      "div",
      { class: "code" },
      el("pre", { tabindex: "0" }, el("code", {}, CODE)),
      copyButton("Copy", () => CODE),
    ),
    store
      ? el(
          "p",
          { class: "fine" },
          "This page shows ",
          el("code", {}, store),
          ". Programs with another ",
          el("code", {}, "SESSIONTRACE_STORE"),
          " write elsewhere.",
        )
      : "",
  ];
}
