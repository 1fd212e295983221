// The page: which view is open, and the status at the top that shows whether it is live.

import { compareView } from "./comparing/compare_sessions.js";
import { compareSetsView } from "./comparing/compare_sets.js";
import { dashboardView } from "./dashboard/dashboard_view.js";
import { storageButton } from "./dialogs/storage_dialog.js";
import { el } from "./elements.js";
import { notFoundView } from "./empty_state.js";
import { fragmentOf } from "./values/thread.js";
import { banner } from "./views/banner.js";
import { login, loginView } from "./views/login.js";
import { listView } from "./views/session_list.js";
import { sessionPage } from "./views/session_page.js";
import { userView } from "./views/user_view.js";

const main = document.getElementById("main");
const crumbs = document.getElementById("crumbs");
const pulse = document.getElementById("pulse");
let view = null;

const WORDS = {
  starting: "Loading",
  live: "Live",
  lost: "Server unreachable, retrying",
  failing: "The store cannot be read",
  locked: "Locked",
};

function setStatus(state, reason = "") {
  if (pulse.dataset.state === state && pulse.title === reason) return;
  pulse.dataset.state = state;
  pulse.title = reason;
  pulse.textContent = WORDS[state];
}

function setCrumbs(...parts) {
  crumbs.replaceChildren(
    ...parts.flatMap((part) => [el("span", { class: "slash", "aria-hidden": "true" }, "/"), part]),
  );
}

// What each view saved when it was left: scroll position and filters, for the way back.
const saved = new Map();
history.scrollRestoration = "manual"; // each view restores its own place
let listSearch = ""; // the filters and the order of the list, for the way back

function open(path, { replace = false, push = true } = {}) {
  if (locked) return;
  if (view) {
    const kept = view.save();
    saved.set(view.path, kept);
    if (view.path === "/") listSearch = kept.search;
  }
  view?.close();
  if (push) history[replace ? "replaceState" : "pushState"]({}, "", path);
  const route = new URL(path, location.origin);
  const match = route.pathname.match(/^\/sessions\/([^/]+)$/);
  const pair = route.pathname.match(/^\/compare\/([^/]+)\/([^/]+)$/);
  const user = route.pathname.match(/^\/users\/([^/]+)$/);
  const key = match ? route.pathname + route.search : route.pathname; // the views of a session differ
  main.replaceChildren();
  setStatus("starting");
  const context = {
    main,
    setStatus,
    setCrumbs,
    navigate: open,
    saved: saved.get(key),
    search: route.search,
    listPath: `/${listSearch}`,
    from: view?.path ?? "/",
  };
  if (pair) view = compareView(context, decodeURIComponent(pair[1]), decodeURIComponent(pair[2]));
  else if (route.pathname === "/compare/sets") view = compareSetsView(context);
  else if (route.pathname === "/dashboard") view = dashboardView(context);
  else if (user) view = userView(context, decodeURIComponent(user[1]));
  else if (match) view = sessionPage(context, decodeURIComponent(match[1]), fragmentOf(route.hash));
  else view = route.pathname === "/" ? listView(context) : notFoundView(context);
  view.path = key;
  if (!context.saved) window.scrollTo(0, 0);
}

document.addEventListener("click", (event) => {
  const link = /** @type {Element} */ (event.target).closest?.("a[data-route]");
  if (!link || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const filtered = link.hasAttribute("data-filters") && view?.path === "/"; // they go along
  open(link.getAttribute("href") + (filtered ? location.search : ""));
});
const here = () => location.pathname + location.search + location.hash;
window.addEventListener("popstate", () => {
  const path = location.pathname + location.search;
  if (view?.path === path && view.back?.()) return;
  open(here(), { push: false });
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = /** @type {Element} */ (event.target).matches?.(
    "input:not([type=checkbox]), select, textarea",
  );
  if (event.defaultPrevented || (typing && event.key !== "Escape")) return;
  view?.key(event);
});

// A server with a token: the token is in the fragment of the address, or a form asks for it.
let locked = false;
window.addEventListener("locked", (event) => {
  if (locked) return;
  locked = true;
  view?.close();
  main.replaceChildren();
  view = loginView({
    main,
    setStatus,
    setCrumbs,
    withKeys: /API key/.test(/** @type {CustomEvent} */ (event).detail),
  });
  view.path = location.pathname;
});

const tokenInUrl = location.hash.match(/^#token=(.+)$/);
if (tokenInUrl) {
  history.replaceState({}, "", location.pathname + location.search);
  await login(decodeURIComponent(tokenInUrl[1])).catch(() => {});
}
open(here(), { replace: true });
if (!locked) {
  banner(document.getElementById("banner"));
  pulse.before(storageButton());
}
