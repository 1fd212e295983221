// All that one user and the application said: the user's sessions, latest first, each as a thread.

import { get, reasonOf } from "../api.js";
import { el } from "../elements.js";
import { infiniteScroll } from "../infinite_scroll.js";
import { turnElement } from "../thread_turn.js";
import { amount, cost, duration, moment } from "../values/format.js";
import { termOf } from "../values/query_text.js";
import { sessionPath, turnsOf } from "../values/thread.js";

const SESSIONS = 5; // of a page
const TURNS = 20; // of a session; its own thread has all

export function userView(context, user) {
  const { main, setStatus, setCrumbs, navigate, listPath, saved } = context;
  const ended = new AbortController();
  const query = termOf("user", user);
  let next = "";
  let shown = 0;

  const list = el("div", { class: "conversations" });
  const more = el("button", { type: "button", class: "more" }, "Earlier sessions");
  const note = el("p", { class: "note", role: "status" });
  main.append(
    el(
      "section",
      { class: "head", "aria-label": "User" },
      el(
        "div",
        { class: "title" },
        el("h1", {}, user),
        el("span", { class: "grow" }),
        el(
          "a",
          { class: "quiet", href: `/?${new URLSearchParams({ q: query })}`, "data-route": true },
          "As a list",
        ),
      ),
    ),
    list,
    note,
    more,
  );
  setCrumbs(
    el("a", { href: listPath, "data-route": true }, "Sessions"),
    el("span", { class: "here" }, user),
  );
  document.title = `${user} · sessiontrace`;
  const scroll = infiniteScroll(more, load);
  restore();

  async function restore() {
    while (saved && shown < saved.shown && next !== null && !ended.signal.aborted)
      await load().catch(() => ended.abort());
    if (saved) window.scrollTo(0, saved.scroll);
  }

  async function load() {
    const mine = next;
    try {
      const parameters = { q: query, limit: String(SESSIONS), ...(mine ? { after: mine } : {}) };
      const { body } = await get(`/api/sessions?${new URLSearchParams(parameters)}`, ended.signal);
      const sections = await Promise.all(body.sessions.map(section));
      if (mine !== next || ended.signal.aborted) return;
      setStatus("live");
      list.append(...sections);
      shown += sections.length;
      next = body.next;
      more.hidden = next === null;
      note.textContent = shown ? "" : "No session of this user is in this store.";
      note.hidden = shown > 0;
    } catch (error) {
      if (ended.signal.aborted) return;
      setStatus(error.status ? "failing" : "lost", reasonOf(error));
      note.hidden = shown > 0;
      note.textContent = reasonOf(error);
      throw error;
    }
  }

  async function section(session) {
    const id = session.session_id;
    const { body } = await get(
      `/api/sessions/${encodeURIComponent(id)}/thread?limit=${TURNS}`,
      ended.signal,
    );
    const name = session.name ?? "unnamed session";
    const page = { after: null, turns: body.turns, next: body.next };
    const values = [moment(session.start_time), duration(session.duration), cost(session)];
    return el(
      "section",
      { class: "conversation", "aria-label": `${name}, ${moment(session.start_time)}` },
      el(
        "header",
        {},
        el("h2", {}, el("a", { href: sessionPath(id), "data-route": true }, name)),
        el("p", { class: "turn-facts" }, values.filter(Boolean).join(" · ")),
        session.error !== null ? el("span", { class: "status s-error" }, "failed") : null,
      ),
      turnsOf([page]).map((row) => turnElement({ ...row, begins: false }, id, { heading: "h3" })),
      body.next
        ? el(
            "a",
            { class: "quiet", href: sessionPath(id, "thread"), "data-route": true },
            `All turns of this session, after the first ${amount(body.turns.length, "turn")}`,
          )
        : null,
    );
  }

  function move(by) {
    const turns = [...list.querySelectorAll(".turn")];
    const at = turns.indexOf(document.activeElement?.closest?.(".turn"));
    const turn = turns[Math.max(0, Math.min(at + by, turns.length - 1))];
    turn?.focus({ preventScroll: true });
    turn?.scrollIntoView({ block: "nearest" });
  }

  return {
    save: () => ({ shown, scroll: window.scrollY }),
    close() {
      ended.abort();
      scroll.stop();
    },
    key(event) {
      const actions = { j: () => move(1), k: () => move(-1), Escape: () => navigate(listPath) };
      if (!Object.hasOwn(actions, event.key)) return;
      event.preventDefault();
      actions[event.key]();
    },
  };
}
