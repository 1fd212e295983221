// The list of sessions: filters, a row for each session, and new rows as they arrive, without moving
// the rows that are being read.

import { get, poll, unchanged } from "../api.js";
import { el } from "../elements.js";
import { notice, welcome } from "../empty_state.js";
import { infiniteScroll } from "../infinite_scroll.js";
import { ago, amount, clockTime, dayName, moment } from "../values/format.js";
import { charts } from "./charts.js";
import { dayRow, headRow, sessionRow } from "./session_row.js";

const PAGE = 60;
const EVERY = 2000;
const CHARTS_EVERY = 1500;
const TOP = 80; // px: above it new sessions slide in, below they wait for a click
const RANGES = [
  ["", "Any time"],
  ["900000", "Last 15 minutes"],
  ["3600000", "Last hour"],
  ["86400000", "Last 24 hours"],
  ["604800000", "Last 7 days"],
];

const latestFirst = (a, b) =>
  b.last_active - a.last_active || (a.session_id < b.session_id ? 1 : -1);

export function listView({ main, setStatus, setCrumbs, navigate, saved }) {
  const filter = saved?.filter ?? { q: "", errors: false, range: "", span: null };
  const picked = new Set(saved?.picked ?? []);
  let sessions = saved?.sessions ?? []; // shown, latest first
  let next = saved?.next ?? null; // cursor of the sessions that are older than these
  let waiting = []; // arrived, not shown yet
  let gap = null; // cursor behind `waiting`, when more arrived than session response holds
  let loaded = Boolean(saved);
  let generation = 0; // grows with each change of a filter: an older response is dropped
  let place = saved?.scroll ?? 0;
  let rows = new Map();
  const ended = new AbortController();

  setCrumbs(el("span", { class: "here" }, "Sessions"));
  document.title = "Sessions · sessiontrace";

  const search = el("input", {
    type: "search",
    placeholder: "Search names, inputs, outputs, errors",
    "aria-label": "Filter sessions",
    autocomplete: "off",
    spellcheck: "false",
  });
  search.value = filter.q;
  let typed = 0;
  search.addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(() => {
      filter.q = search.value.trim();
      restart();
    }, 160);
  });
  const errors = el(
    "button",
    { type: "button", class: "toggle", "aria-pressed": String(filter.errors) },
    "With errors",
  );
  errors.addEventListener("click", () => {
    filter.errors = !filter.errors;
    errors.setAttribute("aria-pressed", String(filter.errors));
    restart();
  });
  const range = el(
    "select",
    { "aria-label": "Time range" },
    RANGES.map(([value, label]) => el("option", { value }, label)),
  );
  range.value = filter.range;
  range.addEventListener("change", () => {
    filter.range = range.value;
    span(null);
  });
  const spanChip = el("button", {
    type: "button",
    class: "toggle span",
    hidden: true,
    "aria-pressed": "true",
    onclick: () => span(null),
  });
  const overview = charts({
    chosen: (from, to) => {
      range.value = "";
      filter.range = "";
      span([from, to]);
    },
  });
  const compare = el(
    "button",
    {
      type: "button",
      class: "compare",
      hidden: true,
      onclick: () => navigate(`/compare/${[...picked].map(encodeURIComponent).join("/")}`),
    },
    "Compare these two",
  );
  const fresh = el("button", {
    type: "button",
    class: "fresh",
    hidden: true,
    onclick: () => {
      window.scrollTo({ top: 0 });
      admit();
    },
  });
  const body = el("tbody", { id: "sessions" });
  const table = el(
    "table",
    { class: "sessions", hidden: true },
    el("caption", { class: "hidden" }, "Sessions, latest first"),
    el("thead", {}, headRow()),
    body,
  );
  const olderButton = el(
    "button",
    { type: "button", class: "more", hidden: true },
    "Older sessions",
  );
  const note = el("div", { class: "note", hidden: true });
  main.append(
    el("h1", { class: "hidden" }, "Sessions"),
    el(
      "div",
      { class: "toolbar" },
      el("div", { class: "search" }, search, el("kbd", { "aria-hidden": "true" }, "/")),
      errors,
      range,
      spanChip,
    ),
    overview.element,
    fresh,
    table,
    note,
    olderButton,
    compare,
  );

  function path(after = null) {
    return `/api/sessions?${queryOf({ limit: PAGE, preview: "1" }, after)}`;
  }

  function queryOf(parameters, after = null) {
    const query = new URLSearchParams(parameters);
    if (filter.q) query.set("q", filter.q);
    if (filter.errors) query.set("errors", "1");
    // In steps of 10 s, so that a repeated request is the same request.
    if (filter.range)
      query.set("since", String(Math.floor((Date.now() - Number(filter.range)) / 10_000) * 10_000));
    if (filter.span) {
      query.set("since", filter.span[0]);
      query.set("until", filter.span[1]);
    }
    if (after) query.set("after", after);
    return query;
  }

  function span(chosen) {
    filter.span = chosen;
    showSpan();
    restart();
  }

  function showSpan() {
    spanChip.hidden = !filter.span;
    if (filter.span)
      spanChip.textContent = `${moment(filter.span[0])} to ${clockTime(filter.span[1])} ✕`;
  }

  // The charts follow the list, but not at every change: they are the most expensive query.
  let chartTimer = 0;
  let chartTag = null;
  function chart(soon) {
    clearTimeout(chartTimer);
    chartTimer = setTimeout(
      async () => {
        try {
          const { body: answer, tag } = await get(
            `/api/histogram?${queryOf({})}`,
            ended.signal,
            chartTag,
          );
          chartTag = tag;
          if (answer !== unchanged) overview.draw(answer);
        } catch {
          if (!ended.signal.aborted) chartTimer = setTimeout(chart, EVERY); // the list shows the error
        }
      },
      soon === true ? 0 : CHARTS_EVERY,
    );
  }

  const live = poll(() => path(), { every: EVERY, seen: receive, failed: fail });
  const clock = setInterval(freshenTimes, 1000);
  const scroll = infiniteScroll(olderButton, older);

  function receive(answer) {
    setStatus("live");
    if (answer !== unchanged) update(answer);
    else if (waiting.length && window.scrollY < TOP) admit();
    scroll.check();
  }

  function update(answer) {
    chart(!loaded);
    if (!loaded) {
      sessions = answer.sessions;
      next = answer.next;
      waiting = [];
      gap = null;
      draw();
      loaded = true;
      return;
    }
    const shown = new Map(sessions.map((session) => [session.session_id, session]));
    for (const session of answer.sessions) {
      if (shown.has(session.session_id)) Object.assign(shown.get(session.session_id), session);
    }
    const last = next === null ? null : sessions.at(-1);
    // Sessions older than all that are shown come with the next page.
    waiting = answer.sessions.filter(
      (session) => !shown.has(session.session_id) && (!last || latestFirst(session, last) < 0),
    );
    gap = answer.next !== null && waiting.length === answer.sessions.length ? answer.next : null;
    if (window.scrollY < TOP || !sessions.length) admit();
    else {
      fresh.hidden = !waiting.length;
      fresh.textContent = `↑ ${gap === null ? amount(waiting.length, "new session") : `More than ${waiting.length} new sessions`}`;
      draw();
    }
  }

  function admit() {
    fresh.hidden = true;
    const arrived = new Set(waiting.map((session) => session.session_id));
    if (gap !== null) [sessions, next] = [waiting, gap];
    else sessions = [...waiting, ...sessions].sort(latestFirst);
    waiting = [];
    gap = null;
    draw(arrived);
  }

  function restart() {
    generation += 1;
    loaded = false;
    next = null;
    olderButton.hidden = true;
    fresh.hidden = true;
    live.restart();
  }

  async function older() {
    const [mine, from] = [generation, next];
    try {
      const { body: answer } = await get(path(from), ended.signal);
      if (mine !== generation || from !== next) return; // another filter, or a list that was replaced
      const shown = new Set(sessions.map((session) => session.session_id));
      sessions = [
        ...sessions,
        ...answer.sessions.filter((session) => !shown.has(session.session_id)),
      ];
      next = answer.next;
      draw();
      setStatus("live"); // it may have failed before
    } catch (error) {
      if (!ended.signal.aborted) fail(error);
      throw error;
    }
  }

  function fail(error) {
    setStatus(error.status ? "failing" : "lost", error.message);
    if (!loaded)
      explain(
        ...notice(
          "The sessions cannot be shown",
          error.status ? error.message : "The server does not answer. Is it still running?",
        ),
      );
  }

  function explain(...parts) {
    note.hidden = false;
    note.className = "note";
    note.replaceChildren(...parts);
    table.hidden = true;
  }

  function draw(arrived = new Set()) {
    const anchor = document.activeElement?.closest?.("tr")?.dataset.id;
    const [lines, drawn] = [[], new Map()];
    let today = null;
    const longest = Math.max(1, ...sessions.map((session) => session.duration));
    for (const session of sessions) {
      const name = dayName(session.last_active);
      if (name !== today) {
        today = name;
        lines.push(dayRow(name));
      }
      const mark = JSON.stringify(session) + longest;
      const before = rows.get(session.session_id);
      const row =
        before?.mark === mark
          ? before.row
          : sessionRow(session, longest, picker(session), navigate);
      if (arrived.has(session.session_id) && rows.size) row.classList.add("arrived");
      drawn.set(session.session_id, { row, mark });
      lines.push(row);
    }
    rows = drawn;
    body.replaceChildren(...lines);
    table.hidden = !sessions.length;
    note.hidden = sessions.length > 0;
    overview.reserve(sessions.length > 0);
    olderButton.hidden = next === null;
    if (!sessions.length) empty();
    if (anchor) rows.get(anchor)?.row.querySelector("a").focus({ preventScroll: true });
    if (place) {
      window.scrollTo(0, place);
      place = 0;
    }
  }

  function picker(session) {
    const box = el("input", {
      type: "checkbox",
      "aria-label": `Compare ${session.name ?? "unnamed session"}`,
      checked: picked.has(session.session_id),
    });
    box.addEventListener("change", () => {
      if (box.checked) picked.add(session.session_id);
      else picked.delete(session.session_id);
      if (picked.size > 2) {
        const [first] = picked;
        picked.delete(first);
        const other = rows.get(first)?.row.querySelector(".c-pick input");
        if (other) other.checked = false;
      }
      compare.hidden = picked.size !== 2;
    });
    return box;
  }

  function freshenTimes() {
    for (const time of body.querySelectorAll("time")) {
      const text = ago(Number(time.dataset.at));
      if (time.textContent !== text) time.textContent = text;
    }
  }

  async function empty() {
    if (filter.q || filter.errors || filter.range || filter.span) {
      explain(
        ...notice(
          "No session matches",
          "No session in this store matches the filters above.",
          el("button", { type: "button", class: "quiet", onclick: clear }, "Clear the filters"),
        ),
      );
      return;
    }
    if (note.classList.contains("welcome")) return;
    const mine = generation;
    const about = await get("/api/about", ended.signal).then(
      (answer) => answer.body,
      () => null,
    );
    if (sessions.length || mine !== generation || ended.signal.aborted) return;
    explain(...welcome(about?.store));
    note.classList.add("welcome");
  }

  function clear() {
    Object.assign(filter, { q: "", errors: false, range: "", span: null });
    showSpan();
    search.value = "";
    range.value = "";
    errors.setAttribute("aria-pressed", "false");
    restart();
  }

  showSpan();
  if (saved) {
    draw();
    chart(true);
    compare.hidden = picked.size !== 2;
  }

  return {
    save: () => ({ filter, sessions, next, picked: [...picked], scroll: window.scrollY }),
    close() {
      ended.abort();
      live.stop();
      scroll.stop();
      clearInterval(clock);
      clearTimeout(chartTimer);
      clearTimeout(typed);
    },
    key(event) {
      const links = [...body.querySelectorAll("a[data-route]")];
      const at = links.indexOf(document.activeElement);
      if (event.key === "/") {
        event.preventDefault();
        search.focus();
        search.select();
      } else if (event.key === "ArrowDown" || event.key === "j") {
        event.preventDefault();
        links[Math.min(at + 1, links.length - 1)]?.focus();
      } else if (event.key === "ArrowUp" || event.key === "k") {
        event.preventDefault();
        links[Math.max(at - 1, 0)]?.focus();
      } else if (event.key === "Escape" && event.target === search) {
        search.value = "";
        filter.q = "";
        search.blur();
        restart();
      }
    },
  };
}
