// What a server with a token shows a browser that has not shown it yet.

import { tell as send } from "./api.js";
import { el } from "./dom.js";

export const login = (token) => send("/api/login", { token });

export function loginView({ main, tell, crumb }) {
  const token = el("input", { type: "password", name: "token", "aria-label": "Token", autocomplete: "current-password", required: true });
  // Who keeps passwords in the browser keeps this one under the server's name.
  const name = el("input", { type: "text", name: "username", autocomplete: "username", value: location.host, hidden: true });
  const said = el("p", { role: "alert", class: "bad" });
  const form = el("form", { class: "login" }, name, token, el("button", { type: "submit", class: "quiet" }, "Open"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await login(token.value.trim());
      location.reload();
    } catch (error) {
      said.textContent = error.status === 401 ? "This is not the token of this server." : error.message;
      token.select();
    }
  });
  crumb();
  tell("locked");
  document.title = "Token · sessiontrace";
  main.append(el("div", { class: "note" },
    el("h1", {}, "This server asks for its token"),
    el("p", {}, "It is in the file, or the variable, that the server was started with."),
    form, said));
  token.focus();
  return { keep: () => ({}), close() {}, key() {} };
}
