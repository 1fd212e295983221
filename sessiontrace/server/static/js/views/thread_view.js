// A session as a thread: its turns in order, page by page, and new ones while the conversation goes
// on. Keyboard: j and k go from turn to turn, Enter to a turn's steps, o opens its tools.

import { get, poll, reasonOf, unchanged } from "../api.js";
import { el } from "../elements.js";
import { infiniteScroll } from "../infinite_scroll.js";
import { turnElement } from "../thread_turn.js";
import { amount } from "../values/format.js";
import { sessionPath, turnNamed, turnsOf, withPage } from "../values/thread.js";
import { sessionHead } from "./session_head.js";

const TURNS = 40; // of a page
const EVERY = 2000;
const BOTTOM = 120; // px from the end of the page: a reader there follows the conversation

const pagePath = (id, after, limit = TURNS) =>
  `/api/sessions/${encodeURIComponent(id)}/thread?${new URLSearchParams({
    limit: String(limit),
    ...(after === null ? {} : { after }),
  })}`;

export const firstPagePath = (id) => pagePath(id, null);

export function threadView(context, id, hash, first = null) {
  const { main, setStatus, setCrumbs, navigate, saved, listPath, upPath } = context;
  const ended = new AbortController();
  const tags = new Map(); // of earlier pages, by their begin
  let pages = saved?.pages ?? [];
  let session = null;
  let rows = new Map(); // by turn: its element and what it shows
  let focused = hash || saved?.turn || null;
  let isPlaced = false;
  let unseen = 0;

  const head = el("section", { class: "head", "aria-label": "Session" });
  const feed = el("div", { class: "thread", role: "feed", "aria-label": "Conversation" });
  const more = el("button", { type: "button", class: "more", hidden: true }, "More turns");
  const fresh = el("button", {
    type: "button",
    class: "fresh",
    hidden: true,
    onclick: () => latest(),
  });
  const hint = el(
    "p",
    { class: "hint thread-hint", "aria-hidden": "true", hidden: true },
    ...[
      ["j k", "turns"],
      ["Enter", "steps"],
      ["o", "tools"],
      ["t", "steps of all"],
      ["End", "latest"],
      ["Esc", "back"],
    ].map(([key, what]) => el("span", {}, el("kbd", {}, key), ` ${what}`)),
  );
  const omitted = el("p", { class: "omitted", hidden: true });
  const note = el("div", { class: "note", hidden: true });
  main.append(head, feed, more, omitted, hint, note, el("div", { role: "status" }, fresh));
  setCrumbs(
    el("a", { href: listPath, "data-route": true }, "Sessions"),
    el("span", { class: "here mono" }, id.slice(0, 18)),
  );
  const seeLatest = () => {
    if (unseen && isAtBottom() && !pages.at(-1)?.next) markSeen();
  };
  window.addEventListener("scroll", seeLatest, { passive: true, signal: ended.signal });
  feed.addEventListener("focusin", (event) => {
    const turn = /** @type {Element} */ (event.target).closest(".turn");
    if (turn) focused = /** @type {HTMLElement} */ (turn).dataset.id ?? null;
  });

  const lastBegin = () => pages.at(-1)?.after ?? null;
  const isAtBottom = () =>
    window.scrollY + innerHeight > document.documentElement.scrollHeight - BOTTOM;

  if (first) receivePage(null, first.body);
  const scroll = infiniteScroll(more, loadNext);
  const live = poll(() => pagePath(id, lastBegin()), {
    every: EVERY,
    seen: receive,
    failed: fail,
    first: first?.tag,
  });

  function receive(answer) {
    setStatus("live");
    if (answer === unchanged) return;
    const isFollowing = isPlaced && isAtBottom() && !pages.at(-1)?.next;
    const before = turnsOf(pages).length;
    receivePage(lastBegin(), answer);
    const arrived = turnsOf(pages).length - before;
    if (isFollowing) window.scrollTo(0, document.documentElement.scrollHeight);
    else if (before && arrived > 0) announce(arrived);
    refreshVisible();
  }

  function receivePage(after, answer) {
    const own = answer.session.session_id;
    if (own !== id) {
      // The address has the application's own id, or how an id begins.
      navigate(`/sessions/${encodeURIComponent(own)}${location.search}${location.hash}`, {
        replace: true,
      });
      return;
    }
    session = answer.session;
    pages = withPage(pages, after, answer);
    note.hidden = true;
    document.title = `${session.name ?? "Session"} · sessiontrace`;
    sessionHead(head, session, answer.record, { view: "thread", listPath });
    omitted.hidden = !answer.omitted || answer.next !== null;
    omitted.textContent = `${amount(answer.omitted, "later step")} of this session not shown`;
    draw();
  }

  function draw() {
    const turns = turnsOf(pages);
    const drawn = new Map();
    for (const row of turns) {
      const mark = JSON.stringify(row);
      const before = rows.get(row.turn.turn_id);
      drawn.set(
        row.turn.turn_id,
        before?.mark === mark
          ? before
          : { mark, element: replacement(before?.element, turnElement(row, id)) },
      );
    }
    rows = drawn;
    const elements = [...rows.values()].map((row) => row.element);
    const holder = document.activeElement?.closest?.(".turn");
    // Only what is not in its place moves: a turn that moves loses the focus and its scroll place.
    for (const [at, element] of elements.entries())
      if (feed.children[at] !== element) feed.insertBefore(element, feed.children[at] ?? null);
    while (feed.children.length > elements.length) feed.lastElementChild.remove();
    const isLost = holder && !holder.isConnected;
    if (isLost)
      rows
        .get(/** @type {HTMLElement} */ (holder).dataset.id)
        ?.element.focus({ preventScroll: true });
    more.hidden = !pages.at(-1)?.next;
    hint.hidden = !turns.length;
    if (!turns.length) explain("No turns yet", "Messages appear here as they arrive.");
    if (!isPlaced && turns.length) place(turns);
  }

  /** The new element of a turn, with what was open in the old one. */
  function replacement(old, element) {
    if (!old) return element;
    const folds = [...element.querySelectorAll("details")];
    for (const [at, fold] of [...old.querySelectorAll(":scope > details")].entries())
      if (fold.open && folds[at]?.dataset.key === fold.dataset.key) folds[at].open = true;
    return element;
  }

  /** Once: the place of the last visit, or the turn in the address. */
  async function place(turns) {
    isPlaced = true;
    const turn = focused
      ? turnNamed(
          turns.map((row) => row.turn),
          focused,
        )
      : null;
    if (saved) window.scrollTo(0, saved.scroll);
    if (turn) {
      focus(turn.turn_id, { scroll: !saved });
      return;
    }
    if (!hash || !pages.at(-1)?.next) return;
    isPlaced = false; // the turn may be on the next page
    await loadNext().catch(() => {});
  }

  async function loadNext() {
    const from = pages.at(-1)?.next;
    if (!from || ended.signal.aborted) return;
    feed.setAttribute("aria-busy", "true");
    try {
      const { body } = await get(pagePath(id, from), ended.signal);
      if (pages.at(-1)?.next !== from) return; // read meanwhile
      receivePage(from, body);
    } finally {
      feed.removeAttribute("aria-busy");
    }
  }

  /** Pages that the reader sees show late scores and repairs, too. */
  async function refreshVisible() {
    for (const page of pages.slice(0, -1)) {
      const elements = page.turns.map((turn) => rows.get(turn.turn_id)?.element).filter(Boolean);
      const top = elements[0]?.getBoundingClientRect().top ?? 0;
      const bottom = elements.at(-1)?.getBoundingClientRect().bottom ?? 0;
      if (bottom < 0 || top > innerHeight) continue;
      try {
        const answer = await get(
          pagePath(id, page.after),
          ended.signal,
          tags.get(page.after) ?? null,
        );
        tags.set(page.after, answer.tag);
        if (answer.body !== unchanged) receivePage(page.after, answer.body);
      } catch {
        return; // the next change asks again
      }
    }
  }

  function announce(arrived) {
    unseen += arrived;
    fresh.textContent = `↓ ${amount(unseen, "new turn")}`;
    fresh.hidden = false;
  }

  function markSeen() {
    fresh.hidden = true;
    unseen = 0;
  }

  async function latest() {
    markSeen();
    while (pages.at(-1)?.next && !ended.signal.aborted) await loadNext();
    const last = turnsOf(pages).at(-1);
    if (last) focus(last.turn.turn_id, { block: "end" });
  }

  function focus(turnId, { scroll: scrolls = true, block = "nearest" } = {}) {
    const element = rows.get(turnId)?.element;
    if (!element) return;
    focused = turnId;
    element.focus({ preventScroll: true });
    if (scrolls) element.scrollIntoView({ block: /** @type {ScrollLogicalPosition} */ (block) });
  }

  /** The turn with the focus, else the first one in sight. */
  function current() {
    const elements = [...feed.children];
    const holder = document.activeElement?.closest?.(".turn");
    if (holder) return elements.indexOf(holder);
    return elements.findIndex((element) => element.getBoundingClientRect().bottom > 60);
  }

  function move(by) {
    const elements = [...feed.children];
    const isFocused = Boolean(document.activeElement?.closest?.(".turn"));
    const at = isFocused ? current() + by : current();
    const element = elements[Math.max(0, Math.min(at, elements.length - 1))];
    if (!element) return;
    /** @type {HTMLElement} */ (element).focus({ preventScroll: true });
    const { top, bottom } = element.getBoundingClientRect();
    if (top < 60 || bottom > innerHeight) element.scrollIntoView({ block: "start" });
  }

  function fail(error) {
    setStatus(
      error.status && error.status !== 404 ? "failing" : error.status ? "live" : "lost",
      reasonOf(error),
    );
    if (session) return;
    const isAbsent = error.status === 404;
    explain(
      isAbsent ? "Session not found" : "The session cannot be shown",
      isAbsent ? "It may not have arrived yet, or may be in another store." : reasonOf(error),
    );
  }

  function explain(title, reason) {
    note.hidden = false;
    note.replaceChildren(
      el("h2", {}, title),
      el("p", {}, reason),
      el("a", { href: "/", "data-route": true, class: "quiet" }, "All sessions"),
    );
  }

  return {
    turn: () => feed.children[current()]?.dataset.id ?? "",
    save: () => ({ pages, turn: focused, scroll: window.scrollY }),
    close() {
      ended.abort();
      live.stop();
      scroll.stop();
    },
    key(event) {
      const turn = event.target.closest?.(".turn");
      const isTurn = turn !== null && turn === event.target;
      const actions = {
        j: () => move(1),
        k: () => move(-1),
        Home: () => {
          window.scrollTo(0, 0);
          focus(turnsOf(pages)[0]?.turn.turn_id, { scroll: false });
        },
        End: latest,
        o: () => {
          const fold = feed.children[current()]?.querySelector("details.in-tools");
          if (fold) fold.open = !fold.open;
        },
        ...(isTurn && { Enter: () => navigate(sessionPath(id, "tree", turn.dataset.id)) }),
        Escape: () => navigate(upPath),
      };
      if (!Object.hasOwn(actions, event.key)) return;
      event.preventDefault();
      actions[event.key]();
    },
  };
}
