// The page: which view is open, and the line at the top that tells whether it is live.

import { banner } from "./banner.js";
import { compareView } from "./compare.js";
import { el } from "./dom.js";
import { listView } from "./list.js";
import { login, loginView } from "./login.js";
import { sessionView } from "./session.js";

const main = document.getElementById("main");
const crumbs = document.getElementById("crumbs");
const pulse = document.getElementById("pulse");
let view = null;

const WORDS = {
  starting: "Loading",
  live: "Live",
  lost: "Server not reached, trying again",
  failing: "The store cannot be read",
  locked: "Locked",
};

function tell(state, reason = "") {
  if (pulse.dataset.state === state && pulse.title === reason) return;
  pulse.dataset.state = state;
  pulse.title = reason;
  pulse.textContent = WORDS[state];
}

function crumb(...parts) {
  crumbs.replaceChildren(...parts.flatMap((part) => [el("span", { class: "slash", "aria-hidden": "true" }, "/"), part]));
}

// `kept` is what a view said of itself when it was left: place and filters, for the way back.
const kept = new Map();

function open(path, { replace = false, push = true } = {}) {
  if (locked) return;
  if (view) kept.set(view.path, view.keep());
  view?.close();
  if (push) history[replace ? "replaceState" : "pushState"]({}, "", path);
  const route = new URL(path, location.origin);
  const match = route.pathname.match(/^\/sessions\/([^/]+)$/);
  const pair = route.pathname.match(/^\/compare\/([^/]+)\/([^/]+)$/);
  main.replaceChildren();
  tell("starting");
  const setting = { main, tell, crumb, go: open, kept: kept.get(route.pathname) };
  if (pair) view = compareView(setting, decodeURIComponent(pair[1]), decodeURIComponent(pair[2]));
  else view = match ? sessionView(setting, decodeURIComponent(match[1]), route.hash.slice(1)) : listView(setting);
  view.path = route.pathname;
  if (!setting.kept) window.scrollTo(0, 0);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-route]");
  if (!link || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  open(link.getAttribute("href"));
});
window.addEventListener("popstate", () => open(location.pathname + location.hash, { push: false }));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches?.("input:not([type=checkbox]), select, textarea");
  if (typing && event.key !== "Escape") return;
  view?.key(event);
});

// A server with a token: it came behind the # of the address, or it is asked for.
let locked = false;
window.addEventListener("locked", () => {
  if (locked) return;
  locked = true;
  view?.close();
  main.replaceChildren();
  view = loginView({ main, tell, crumb });
  view.path = location.pathname;
});

const given = location.hash.match(/^#token=(.+)$/);
if (given) {
  history.replaceState({}, "", location.pathname);
  await login(decodeURIComponent(given[1])).catch(() => {});
}
open(location.pathname + location.hash, { replace: true });
if (!locked) banner(document.getElementById("banner"));
