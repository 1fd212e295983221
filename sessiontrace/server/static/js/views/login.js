// The form that asks for the server's token, or for an API key.

import { post, reasonOf } from "../api.js";
import { el } from "../elements.js";

export const login = (token) => post("/api/login", { token });

const TOKEN = {
  name: "Token",
  title: "This server requires a token",
  where: "The token is in the file or the variable that the server was started with.",
  refused: "This is not the token of this server.",
};
const KEY = {
  name: "API key",
  title: "This server requires an API key",
  where: "A key that may read, which `sessiontrace keys add NAME --may read` makes on the server.",
  refused: "This is not an API key of this server that may read.",
};

/** @param {any} context withKeys: the server takes API keys rather than a token */
export function loginView({ main, setStatus, setCrumbs, withKeys = false }) {
  const words = withKeys ? KEY : TOKEN;
  const token = el("input", {
    type: "password",
    name: "token",
    "aria-label": words.name,
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
      message.textContent = error.status === 401 ? words.refused : reasonOf(error);
      token.select();
    }
  });
  setCrumbs();
  setStatus("locked");
  document.title = `${words.name} · sessiontrace`;
  main.append(
    el(
      "div",
      { class: "note" },
      el("h1", {}, words.title),
      el("p", {}, words.where),
      form,
      message,
    ),
  );
  token.focus();
  return { save: () => ({}), close() {}, key() {} };
}
