// The form that asks for the server's token.

import { post } from "../api.js";
import { el } from "../elements.js";

export const login = (token) => post("/api/login", { token });

export function loginView({ main, setStatus, setCrumbs }) {
  const token = el("input", {
    type: "password",
    name: "token",
    "aria-label": "Token",
    autocomplete: "current-password",
    required: true,
  });
  // Lets a password manager save the token under the server's name.
  const name = el("input", {
    type: "text",
    name: "username",
    autocomplete: "username",
    value: location.host,
    hidden: true,
  });
  const message = el("p", { role: "alert", class: "bad" });
  const form = el(
    "form",
    { class: "login" },
    name,
    token,
    el("button", { type: "submit", class: "quiet" }, "Open"),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await login(token.value.trim());
      location.reload();
    } catch (error) {
      message.textContent =
        error.status === 401 ? "This is not the token of this server." : error.message;
      token.select();
    }
  });
  setCrumbs();
  setStatus("locked");
  document.title = "Token · sessiontrace";
  main.append(
    el(
      "div",
      { class: "note" },
      el("h1", {}, "This server requires a token"),
      el("p", {}, "The token is in the file or the variable that the server was started with."),
      form,
      message,
    ),
  );
  token.focus();
  return { save: () => ({}), close() {}, key() {} };
}
