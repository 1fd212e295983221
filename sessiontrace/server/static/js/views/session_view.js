// One session: its summary, its steps as a waterfall, and the selected step.

import { get, poll, reasonOf, unchanged } from "../api.js";
import { el } from "../elements.js";
import { judgementPanel } from "../judging/panel.js";
import { splitter } from "../splitter.js";
import { amount, count } from "../values/format.js";
import { earlierMessages } from "./earlier_messages.js";
import { sessionHead } from "./session_head.js";
import { detail } from "./step_detail.js";
import { waterfall } from "./waterfall.js";

const EVERY = 2000;

export function sessionView(context, id, hash) {
  const { main, setStatus, setCrumbs, navigate, saved, listPath, upPath } = context;
  let placed = false; // what the address names has been scrolled to
  let awaited = hash; // the step that the address names, until it has arrived
  let found = ""; // how many steps contain the text
  const state = { answer: null, records: new Map(), selected: hash || saved?.selected || id };
  const head = el("section", { class: "head", "aria-label": "Session" });
  const panel = el("aside", { class: "detail", "aria-label": "Selected step", tabindex: "-1" });
  const note = el("div", { class: "note", hidden: true });
  const finder = el("input", {
    type: "search",
    placeholder: "Find in the steps",
    "aria-label": "Find in the steps",
    autocomplete: "off",
    spellcheck: "false",
  });
  const findStatus = el("span", { role: "status" });
  const chart = waterfall({
    selected: select,
    opened: openPanel,
    folded: saved?.folded,
    finder: el(
      "div",
      { class: "finder" },
      el("div", { class: "search" }, finder, el("kbd", { "aria-hidden": "true" }, "/")),
      findStatus,
    ),
  });
  const width = splitter({
    key: "sessiontrace.panel",
    label: "Width of the selected step",
    controls: () => split,
    property: "--panel-width",
    sign: -1,
    width: () => panel.offsetWidth,
    range: () => [300, Math.max(300, split.clientWidth - 360)],
  });
  const split = el("div", { class: "split", hidden: true }, chart.element, width.line, panel);
  let typed = 0;
  finder.addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(find, 160);
  });
  finder.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      const place = chart.nextFound(event.shiftKey ? -1 : 1);
      if (place) findStatus.textContent = `${count(place)} of ${found}`;
      finder.focus({ preventScroll: true });
    }
  });
  const missing = el(
    "p",
    { class: "warning", role: "status", hidden: true },
    "The step that this link names is not in this session, or has not arrived yet.",
  );
  main.append(head, missing, split, note);
  setCrumbs(
    el("a", { href: listPath, "data-route": true }, "Sessions"),
    el("span", { class: "here mono" }, id.slice(0, 18)),
  );

  const live = poll(() => `/api/sessions/${encodeURIComponent(id)}`, {
    every: EVERY,
    seen: receive,
    failed: fail,
  });

  function receive(answer) {
    setStatus("live");
    if (answer === unchanged) {
      if (state.answer) show(); // a late score changes a step and leaves the summary as it is
      return;
    }
    const own = answer.session.session_id;
    if (own !== id) {
      // The address has the application's own id, or how an id begins.
      navigate(`/sessions/${encodeURIComponent(own)}${location.search}${location.hash}`, {
        replace: true,
      });
      return;
    }
    const isFirst = state.answer === null;
    state.answer = answer;
    note.hidden = true;
    split.hidden = false;
    width.show();
    document.title = `${answer.session.name ?? "Session"} · sessiontrace`;
    sessionHead(head, answer.session, answer.record, { view: "tree", listPath });
    const { session, record } = answer;
    if (record.start_time === session.start_time) session.start_nanos = record.start_nanos;
    chart.draw(answer);
    if (awaited && chart.has(awaited)) {
      state.selected = awaited;
      awaited = "";
      placed = false;
    }
    missing.hidden = !awaited;
    const isThere = chart.has(state.selected);
    if (!isThere) state.selected = id;
    const isNamed = isThere && state.selected !== id && state.selected !== saved?.selected;
    if (!placed && isNamed) chart.reveal(state.selected);
    else chart.select(state.selected);
    if (!placed && saved && !isNamed) window.scrollTo(0, saved.scroll);
    placed = true;
    if (isFirst && hash && document.activeElement === document.body) chart.focus();
    show();
  }

  // A phone shows the step over the rows: an entry in the history, which Back closes.
  function openPanel() {
    panel.classList.add("up");
    const isSheet = getComputedStyle(panel).position === "fixed";
    if (isSheet && !history.state?.sheet) history.pushState({ sheet: true }, "", location.href);
    panel.focus({ preventScroll: getComputedStyle(panel).position === "sticky" });
  }

  function closePanel() {
    if (history.state?.sheet) return history.back(); // which calls `back`
    panel.classList.remove("up");
    chart.focus();
  }

  async function find() {
    const text = finder.value.trim();
    if (!text) {
      findStatus.textContent = "";
      chart.find(null);
      return;
    }
    try {
      const { body } = await get(
        `/api/sessions/${encodeURIComponent(id)}/steps?q=${encodeURIComponent(text)}`,
      );
      if (finder.value.trim() !== text) return;
      found = count(body.steps.length);
      findStatus.textContent = body.steps.length
        ? `${amount(body.steps.length, "step")}, Enter for the next`
        : "No step contains this text";
      chart.find(body.steps);
    } catch (error) {
      findStatus.textContent = reasonOf(error);
    }
  }

  function fail(error) {
    setStatus(
      error.status && error.status !== 404 ? "failing" : error.status ? "live" : "lost",
      reasonOf(error),
    );
    if (state.answer) return;
    note.hidden = false;
    note.replaceChildren(
      el("h1", {}, error.status === 404 ? "Session not found" : "The session cannot be shown"),
      el(
        "p",
        {},
        error.status === 404
          ? "It may not have arrived yet, or may be in another store."
          : reasonOf(error),
      ),
      el("a", { href: "/", "data-route": true, class: "quiet" }, "All sessions"),
    );
  }

  async function select(chosen) {
    state.selected = chosen;
    awaited = "";
    missing.hidden = true;
    history.replaceState(
      history.state,
      "",
      `${location.pathname}${location.search}${chosen === id ? "" : `#${encodeURIComponent(chosen)}`}`,
    );
    await show();
  }

  /** The record of a step; it is sent only where it has changed. */
  async function load(eventId) {
    const cached = state.records.get(eventId);
    const path = `/api/events/${encodeURIComponent(eventId)}`;
    const { tag, body } = await get(path, undefined, cached?.tag ?? null);
    const whole = body === unchanged ? cached.whole : body;
    if (state.records.size > 200) state.records.clear();
    state.records.set(eventId, { tag, whole });
    return whole;
  }

  let drawn = "";
  let form = { id: null, node: null, refresh: () => {} };
  async function show() {
    const chosen = state.selected;
    const { session, record, events } = state.answer;
    const summary = chosen === id ? null : events.find((event) => event.event_id === chosen);
    let whole = record;
    let earlier = null;
    if (summary) {
      try {
        whole = await load(chosen);
        earlier = await earlierMessages(
          events,
          summary,
          whole,
          async (other) => state.records.get(other)?.whole ?? load(other),
        );
      } catch (error) {
        if (state.selected === chosen && !state.records.has(chosen))
          panel.replaceChildren(el("p", { class: "failure" }, reasonOf(error)));
        return;
      }
      if (state.selected !== chosen) return;
    }
    const mark = JSON.stringify([chosen, summary ?? session, whole, earlier?.count]);
    if (mark === drawn) return form.refresh();
    drawn = mark;
    // Feedback that is being typed stays while everything around it changes.
    if (form.id !== chosen) {
      const judging = judgementPanel(id, chosen);
      form = { id: chosen, node: judging.element, refresh: judging.refresh };
    } else form.refresh();
    const focused = form.node.contains(document.activeElement)
      ? /** @type {HTMLElement} */ (document.activeElement)
      : null;
    const place = panel.dataset.shown === chosen ? panel.scrollTop : 0;
    panel.replaceChildren(
      detail({
        session,
        summary,
        record: whole,
        earlier,
        feedback: form.node,
        turns: events.filter((event) => event.turn).length,
        close: closePanel,
      }),
    );
    panel.dataset.shown = chosen;
    panel.scrollTop = place;
    focused?.focus({ preventScroll: true });
  }

  return {
    save: () => ({ selected: state.selected, folded: chart.folded(), scroll: window.scrollY }),
    close: () => {
      live.stop();
      chart.close();
    },
    /** Back closes the step that lies over the rows; whether it did. */
    back() {
      if (!panel.classList.contains("up") || history.state?.sheet) return false;
      panel.classList.remove("up");
      chart.focus();
      return true;
    },
    key(event) {
      if (event.key === "/" && !event.target.matches?.("input, textarea")) {
        event.preventDefault();
        finder.focus();
        finder.select();
        return;
      }
      if (event.key === "Escape" && event.target === finder) {
        finder.value = "";
        find();
        finder.blur();
        chart.focus();
        return;
      }
      if (event.key === "Escape") {
        if (panel.contains(document.activeElement) || panel.classList.contains("up")) {
          closePanel();
        } else if (!chart.unzoom()) navigate(upPath);
        event.preventDefault();
      } else chart.key(event);
    },
  };
}
