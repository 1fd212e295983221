// The list of sessions: filters, a row for each session, and new rows as they arrive, without moving
// the rows that are being read.

import { get, poll, reasonOf, unchanged } from "../api.js";
import { el } from "../elements.js";
import { notice, welcome } from "../empty_state.js";
import { infiniteScroll } from "../infinite_scroll.js";
import { reviewLinks } from "../judging/review_links.js";
import { selectionBar } from "../judging/selection_bar.js";
import { amount, clockTime, dayName, moment } from "../values/format.js";
import {
  isFiltered,
  ORDERS,
  ordered,
  PICKED_MAX,
  queryText,
  readState,
  requestOf,
  writeState,
} from "../values/list_state.js";
import { arrivals, merged } from "../values/list_update.js";
import { withTerm } from "../values/query_text.js";
import { userIn, userPath } from "../values/thread.js";
import { charts } from "./charts.js";
import { queryField } from "./query_field.js";
import { savedViews } from "./saved_views.js";
import { dayRow, headRow, sessionRow, timeText } from "./session_row.js";
import { timeFilter } from "./time_filter.js";

const PAGE = 60;
const EVERY = 2000;
const CHARTS_EVERY = 1500;
const TOP = 80; // px: above it new sessions slide in, below they wait for a click

// The duration that fills a bar: one conversation of days must not make all others a dot.
function typicallyLongest(sessions) {
  const durations = sessions.map((session) => session.duration).sort((a, b) => a - b);
  return Math.max(1, durations[Math.floor(0.95 * (durations.length - 1))] ?? 1);
}

export function listView({ main, setStatus, setCrumbs, navigate, saved, search }) {
  if (saved?.search !== search) saved = undefined; // of other filters
  let state = readState(search);
  let sessions = saved?.sessions ?? []; // shown, in order
  let next = saved?.next ?? null; // cursor of the sessions below these
  let head = null; // the first page as it is now, while the reader is further down
  let loaded = Boolean(saved);
  let generation = 0; // grows with each change of a filter: an older response is dropped
  let place = saved?.scroll ?? 0;
  let opened = saved?.opened ?? null; // the session that was read last: the focus returns to it
  let rows = new Map();
  const picked = new Set(state.picked);
  const ended = new AbortController();

  setCrumbs(el("span", { class: "here" }, "Sessions"));
  document.title = "Sessions · sessiontrace";

  const field = queryField({ text: state.q, changed: (q) => q !== state.q && change({ q }) });
  const errors = el("button", { type: "button", class: "toggle" }, "With errors");
  errors.addEventListener("click", () => change({ errors: !state.errors }));
  const times = timeFilter({ changed: change });
  const order = el(
    "select",
    { "aria-label": "Order" },
    ORDERS.map(([value, label]) => el("option", { value }, label)),
  );
  order.addEventListener("change", () => change(ordered(state, order.value)));
  const direction = el("button", {
    type: "button",
    class: "toggle direction",
    onclick: () => change({ ascending: !state.ascending }),
  });
  const views = savedViews({ address: () => writeState(state), navigate });
  const spanChip = el("button", {
    type: "button",
    class: "toggle span",
    hidden: true,
    "aria-pressed": "true",
    onclick: () => change({ from: null, to: null }),
  });
  const asThread = el("a", { class: "quiet", "data-route": true, hidden: true }, "As one thread");
  const overview = charts({
    chosen: (from, to) => change({ range: "", from, to }),
  });
  const selection = selectionBar({ picked, navigate, clear: unpick });
  const review = reviewLinks({
    query: () => queryText(state, Date.now()),
    filter: (q) => field.set(q),
    navigate,
  });
  const fresh = el("button", {
    type: "button",
    class: "fresh",
    hidden: true,
    onclick: () => {
      window.scrollTo({ top: 0 });
      admit();
    },
  });
  const thead = el("thead", {});
  const body = el("tbody", { id: "sessions" });
  const table = el(
    "table",
    { class: "sessions", hidden: true },
    el("caption", { class: "hidden" }, "Sessions"),
    thead,
    body,
  );
  const olderButton = el(
    "button",
    { type: "button", class: "more", hidden: true },
    "More sessions",
  );
  const note = el("div", { class: "note", hidden: true });
  main.append(
    el("h1", { class: "hidden" }, "Sessions"),
    el(
      "div",
      { class: "toolbar" },
      field.element,
      errors,
      times.element,
      el("span", { class: "order" }, order, direction),
      views.element,
      asThread,
      review.element,
      spanChip,
    ),
    overview.element,
    fresh,
    table,
    note,
    olderButton,
    selection.element,
  );

  const path = (after = null) => `/api/sessions?${queryOf({ limit: PAGE, preview: "1" }, after)}`;

  function queryOf(parameters, after = null) {
    const query = requestOf(state, Date.now());
    for (const [name, value] of Object.entries(parameters)) query.set(name, value);
    if (after) query.set("after", after);
    return query;
  }

  /** Show another list; the address holds what it is. */
  function change(changes) {
    state = { ...state, ...changes };
    remember();
    showState();
    restart();
  }

  const remember = () => history.replaceState({}, "", `/${writeState(state)}`);

  function filter(term) {
    field.set(withTerm(field.input.value.trim(), term));
    window.scrollTo({ top: 0 });
  }

  function showState() {
    const user = userIn(state.q);
    asThread.hidden = !user;
    asThread.href = user ? userPath(user) : "/";
    review.show(`/api/sessions.jsonl?${queryOf({})}`);
    asThread.title = `All that ${user} and the application said`;
    errors.setAttribute("aria-pressed", String(state.errors));
    times.show(state);
    order.value = state.order;
    direction.textContent = state.ascending ? "↑" : "↓";
    direction.setAttribute("aria-label", state.ascending ? "Ascending" : "Descending");
    spanChip.hidden = state.from === null && state.to === null;
    const [from, to] = [state.from, state.to].map((at) => (at === null ? "…" : moment(at)));
    const sameDay = state.from !== null && state.to - state.from < 86_400_000;
    if (!spanChip.hidden)
      spanChip.textContent = `${from} to ${sameDay && state.to !== null ? clockTime(state.to) : to} ✕`;
    thead.replaceChildren(headRow(state, (name) => change(ordered(state, name))));
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

  // The row that had the focus or was clicked last; the browser forgets it when the list goes.
  let lastFocused = null;
  for (const kind of ["focusin", "pointerdown"])
    body.addEventListener(kind, (event) => {
      lastFocused = /** @type {Element} */ (event.target).closest("tr")?.dataset.id ?? null;
    });
  const live = poll(() => path(), { every: EVERY, seen: receive, failed: fail });
  const clock = setInterval(freshenTimes, 1000);
  const scroll = infiniteScroll(olderButton, older);

  function receive(answer) {
    setStatus("live");
    field.accept();
    if (answer !== unchanged) update(answer);
    else if (head && window.scrollY < TOP) admit();
    scroll.check();
  }

  function update(answer) {
    chart(!loaded);
    if (!loaded) {
      [sessions, next, head] = [answer.sessions, answer.next, null];
      draw();
      loaded = true;
      return;
    }
    head = answer;
    if (window.scrollY < TOP || !sessions.length) {
      admit();
      return;
    }
    const now = new Map(answer.sessions.map((session) => [session.session_id, session]));
    sessions = sessions.map((session) => now.get(session.session_id) ?? session);
    const waiting = arrivals(sessions, answer).length;
    fresh.hidden = !waiting;
    const more = answer.next !== null && waiting === answer.sessions.length;
    fresh.textContent = `↑ ${more ? `More than ${waiting} new sessions` : amount(waiting, "new session")}`;
    draw();
  }

  function admit() {
    fresh.hidden = true;
    if (!head) return;
    const arrived = new Set(arrivals(sessions, head).map((session) => session.session_id));
    ({ rows: sessions, next } = merged(sessions, head, next));
    head = null;
    draw(arrived);
  }

  function restart() {
    generation += 1;
    loaded = false;
    next = null;
    head = null;
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
    if (error.details?.position !== undefined) {
      setStatus("live");
      field.complain(error);
      if (!loaded && !sessions.length)
        explain(...notice("No sessions to show", "The query above is not understood."));
      return;
    }
    setStatus(error.status ? "failing" : "lost", reasonOf(error));
    if (!loaded) explain(...notice("The sessions cannot be shown", reasonOf(error)));
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
    const byDay = { active: "last_active", started: "start_time" }[state.order];
    let today = null;
    const longest = typicallyLongest(sessions);
    for (const session of sessions) {
      const name = byDay ? dayName(session[byDay]) : null;
      if (name !== today) {
        today = name;
        lines.push(dayRow(name));
      }
      const mark = JSON.stringify([session, longest, !byDay]);
      const before = rows.get(session.session_id);
      const row =
        before?.mark === mark
          ? before.row
          : sessionRow(
              session,
              { longest, dated: !byDay, picker: picker(session), filter },
              navigate,
            );
      if (arrived.has(session.session_id) && rows.size) row.classList.add("arrived");
      drawn.set(session.session_id, { row, mark });
      lines.push(row);
    }
    rows = drawn;
    arrange(lines);
    table.hidden = !sessions.length;
    note.hidden = sessions.length > 0;
    overview.reserve(sessions.length > 0);
    olderButton.hidden = next === null;
    if (!sessions.length) empty();
    const focused = anchor ?? (document.activeElement === document.body ? opened : null);
    if (focused) rows.get(focused)?.row.querySelector("a").focus({ preventScroll: true });
    opened = null;
    if (place) {
      window.scrollTo(0, place);
      place = 0;
    }
  }

  // The browser scrolls up when the row with the focus leaves the page, if only for this moment.
  function arrange(lines) {
    const same =
      lines.length === body.children.length &&
      lines.every((line, at) => line === body.children[at]);
    if (same) return;
    const at = window.scrollY;
    body.replaceChildren(...lines);
    if (at && window.scrollY !== at) window.scrollTo(0, at);
  }

  function picker(session) {
    const box = el("input", {
      type: "checkbox",
      "aria-label": `Select ${session.name ?? "unnamed session"}`,
      checked: picked.has(session.session_id),
    });
    box.addEventListener("change", () => {
      if (box.checked) picked.add(session.session_id);
      else picked.delete(session.session_id);
      if (picked.size > PICKED_MAX) {
        const [first] = picked;
        picked.delete(first);
        const other = rows.get(first)?.row.querySelector(".c-pick input");
        if (other) other.checked = false;
      }
      showPicked();
    });
    return box;
  }

  function showPicked() {
    selection.show();
    state = { ...state, picked: [...picked] };
    remember();
  }

  function unpick() {
    picked.clear();
    for (const { row } of rows.values()) row.querySelector(".c-pick input").checked = false;
    showPicked();
  }

  function freshenTimes() {
    for (const time of body.querySelectorAll("time")) {
      const text = timeText(Number(time.dataset.at), time.dataset.dated !== undefined);
      if (time.textContent !== text) time.textContent = text;
    }
  }

  async function empty() {
    if (isFiltered(state)) {
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
    field.input.value = "";
    change({ q: "", errors: false, range: "", from: null, to: null });
  }

  showState();
  selection.show();
  if (saved) {
    draw();
    chart(true);
  }

  return {
    save: () => ({
      search: writeState(state),
      sessions,
      next,
      scroll: window.scrollY,
      opened: lastFocused,
    }),
    close() {
      ended.abort();
      live.stop();
      scroll.stop();
      clearInterval(clock);
      clearTimeout(chartTimer);
      field.stop();
      views.stop();
    },
    key(event) {
      const links = [...body.querySelectorAll("a[data-route]")];
      const at = links.indexOf(document.activeElement);
      if (event.key === "/") {
        event.preventDefault();
        field.input.focus();
        field.input.select();
      } else if (event.key === "ArrowDown" || event.key === "j") {
        event.preventDefault();
        links[Math.min(at + 1, links.length - 1)]?.focus();
      } else if (event.key === "ArrowUp" || event.key === "k") {
        event.preventDefault();
        links[Math.max(at - 1, 0)]?.focus();
      } else if (event.key === "Escape" && event.target === field.input) {
        field.set("");
        field.input.blur();
      }
    },
  };
}
