// One session: its summary, its steps as a waterfall, and the selected step.

import { get, poll, unchanged } from "../api.js";
import { el } from "../elements.js";
import { amount } from "../values/format.js";
import { sessionHead } from "./session_head.js";
import { detail, feedbackForm } from "./step_detail.js";
import { waterfall } from "./waterfall.js";

const EVERY = 2000;

export function sessionView(context, id, hash) {
  const { main, setStatus, setCrumbs, navigate, saved, listPath, upPath } = context;
  const state = { answer: null, records: new Map(), selected: hash || saved?.selected || id };
  const head = el("section", { class: "head", "aria-label": "Session" });
  const panel = el("aside", { class: "detail", "aria-label": "Selected step", tabindex: "-1" });
  const chart = waterfall({
    selected: select,
    opened: () => {
      panel.classList.add("up");
      panel.focus({ preventScroll: getComputedStyle(panel).position === "sticky" });
    },
    folded: saved?.folded,
  });
  const split = el("div", { class: "split", hidden: true }, chart.element, panel);
  const note = el("div", { class: "note", hidden: true });
  const finder = el("input", {
    type: "search",
    placeholder: "Find in the steps",
    "aria-label": "Find in the steps",
    autocomplete: "off",
    spellcheck: "false",
  });
  const findStatus = el("span", { role: "status" });
  let typed = 0;
  finder.addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(find, 160);
  });
  finder.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      chart.nextFound();
      finder.focus();
    }
  });
  const bar = el(
    "div",
    { class: "finder", hidden: true },
    el("div", { class: "search" }, finder, el("kbd", { "aria-hidden": "true" }, "/")),
    findStatus,
  );
  main.append(head, bar, split, note);
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
    bar.hidden = answer.events.length < 1;
    document.title = `${answer.session.name ?? "Session"} · sessiontrace`;
    sessionHead(head, answer.session, answer.record, { view: "tree" });
    chart.draw(answer);
    if (!chart.has(state.selected)) state.selected = id;
    chart.select(state.selected);
    if (isFirst && hash && document.activeElement === document.body) chart.focus();
    show();
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
      findStatus.textContent = body.steps.length
        ? `${amount(body.steps.length, "step")}, Enter for the next`
        : "No step contains this text";
      chart.find(body.steps);
    } catch (error) {
      findStatus.textContent = error.message;
    }
  }

  function fail(error) {
    setStatus(
      error.status && error.status !== 404 ? "failing" : error.status ? "live" : "lost",
      error.message,
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
          : error.status
            ? error.message
            : "The server does not answer. Is it still running?",
      ),
      el("a", { href: "/", "data-route": true, class: "quiet" }, "All sessions"),
    );
  }

  async function select(chosen) {
    state.selected = chosen;
    history.replaceState(
      {},
      "",
      `${location.pathname}${location.search}${chosen === id ? "" : `#${encodeURIComponent(chosen)}`}`,
    );
    await show();
  }

  let drawn = "";
  let form = { id: null, node: null };
  async function show() {
    const chosen = state.selected;
    const { session, record, events } = state.answer;
    const summary = chosen === id ? null : events.find((event) => event.event_id === chosen);
    let whole = record;
    if (summary) {
      const cached = state.records.get(chosen);
      try {
        const { tag, body } = await get(
          `/api/events/${encodeURIComponent(chosen)}`,
          undefined,
          cached?.tag ?? null,
        );
        whole = body === unchanged ? cached.whole : body;
        if (state.records.size > 200) state.records.clear();
        state.records.set(chosen, { tag, whole });
      } catch (error) {
        if (state.selected === chosen && !cached)
          panel.replaceChildren(el("p", { class: "failure" }, error.message));
        return;
      }
      if (state.selected !== chosen) return;
    }
    const mark = JSON.stringify([chosen, summary ?? session, whole]);
    if (mark === drawn) return;
    drawn = mark;
    // Feedback that is being typed stays while everything around it changes.
    if (form.id !== chosen) form = { id: chosen, node: feedbackForm(chosen) };
    const focused = form.node.contains(document.activeElement)
      ? /** @type {HTMLElement} */ (document.activeElement)
      : null;
    const place = panel.dataset.shown === chosen ? panel.scrollTop : 0;
    panel.replaceChildren(
      detail({
        session,
        summary,
        record: whole,
        feedback: form.node,
        turns: events.filter((event) => event.turn).length,
        close: () => {
          panel.classList.remove("up");
          chart.focus();
        },
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
          panel.classList.remove("up");
          chart.focus();
        } else if (!chart.unzoom()) navigate(upPath);
        event.preventDefault();
      } else chart.key(event);
    },
  };
}
