// The dashboard: the figures of a period and of the one before, over time, by model, name, user,
// source or tag, and the sessions that stand out. The address holds what it shows.

import { get, poll, reasonOf, unchanged } from "../api.js";
import { el } from "../elements.js";
import { notice } from "../empty_state.js";
import { amount, count, duration, minuteOf, money } from "../values/format.js";
import { queryField } from "../views/query_field.js";
import { timeFilter } from "../views/time_filter.js";
import { breakdown } from "./breakdown.js";
import { durationFrom, listPath, readDashboard, requestFor, writeDashboard } from "./state.js";
import { tiles } from "./tiles.js";
import { timeChart } from "./time_chart.js";
import { TOPS, topLists } from "./top_lists.js";

const EVERY = 15_000; // a store that changes all the time must not be counted all the time
const TOP = 5;
const LEVELS = ["p50", "p95", "p99"];
const DAY_MS = 86_400_000;

export function dashboardView({ main, setStatus, setCrumbs, saved, search, listPath: lastList }) {
  let state = readDashboard(search);
  let answered = false;
  let generation = 0; // grows with each change: an older response is dropped
  let place = saved?.scroll ?? 0;
  const ended = new AbortController();

  setCrumbs(
    el("a", { href: lastList, "data-route": true }, "Sessions"),
    el("span", { class: "here" }, "Dashboard"),
  );
  document.title = "Dashboard · sessiontrace";

  const field = queryField({ text: state.q, changed: (q) => q !== state.q && change({ q }) });
  const errors = el("button", { type: "button", class: "toggle" }, "With errors");
  errors.addEventListener("click", () => change({ errors: !state.errors }));
  const times = timeFilter({ changed: change, unbounded: false });
  const list = el("a", { class: "quiet as-list", "data-route": true }, "These sessions");
  const period = el("p", { class: "period soft" });
  const figures = tiles();
  const charts = {
    sessions: timeChart({ title: "Sessions" }),
    cost: timeChart({ title: "Cost" }),
    latency: timeChart({ title: "Latency of sessions", lines: true }),
    first: timeChart({ title: "Time to first token", lines: true }),
    tokens: timeChart({ title: "Tokens" }),
    steps: timeChart({ title: "Steps" }),
  };
  const groups = breakdown({ changed: change });
  const tops = topLists();
  const note = el("div", { class: "note", hidden: true });
  const content = el(
    "div",
    { class: "dashboard", "aria-busy": "true" },
    period,
    figures.element,
    el(
      "div",
      { class: "grid" },
      Object.values(charts).map((chart) => chart.element),
    ),
    groups.element,
    tops.element,
  );
  main.append(
    el("h1", { class: "hidden" }, "Dashboard"),
    el("div", { class: "toolbar" }, field.element, errors, times.element, list),
    note,
    content,
  );

  /** Show other figures; the address holds which. */
  function change(changes) {
    state = { ...state, ...changes };
    if (!state.range && state.from === null && state.to === null)
      state = readDashboard(writeDashboard(state));
    history.replaceState({}, "", `/dashboard${writeDashboard(state)}`);
    showState();
    generation += 1;
    if (Object.keys(changes).every((name) => name === "by" || name === "rank")) drawGroups();
    else live.restart();
  }

  function showState() {
    errors.setAttribute("aria-pressed", String(state.errors));
    times.show(state);
    list.setAttribute("href", listPath(state));
    groups.show(state);
  }

  const live = poll(() => `/api/dashboard?${requestFor(state, Date.now())}`, {
    every: EVERY,
    announced: false,
    seen: receive,
    failed: fail,
  });
  drawOthers(); // beside the first response, not after it

  function receive(answer) {
    setStatus("live");
    field.accept();
    if (answer === unchanged) return;
    note.hidden = true;
    content.hidden = false;
    keepingFocus(() => draw(answer));
    content.setAttribute("aria-busy", "false");
    if (answered) drawOthers();
    answered = true;
    if (place) {
      window.scrollTo(0, place);
      place = 0;
    }
  }

  function drawOthers() {
    drawGroups();
    for (const [at, { order, errors: failing }] of TOPS.entries()) {
      const parameters = { sort: order, limit: TOP, ...(failing ? { errors: "1" } : {}) };
      ask(`/api/sessions?${requestFor(state, Date.now(), parameters)}`, (body) =>
        tops.draw(at, state, body),
      );
    }
  }

  function drawGroups() {
    const { by, rank } = state;
    ask(`/api/dashboard/groups?${requestFor(state, Date.now(), { by, rank })}`, (body) =>
      groups.draw(state, body),
    );
  }

  async function ask(path, seen) {
    const mine = generation;
    try {
      const { body } = await get(path, ended.signal);
      if (mine === generation) keepingFocus(() => seen(body));
    } catch {
      // The request for the figures fails as well, and says why.
    }
  }

  /** Draw, and give the focus back to the element in the place of the one that had it. */
  function keepingFocus(redraw) {
    const places = () =>
      /** @type {HTMLElement[]} */ ([...content.querySelectorAll("a, button, summary")]);
    const at = places().indexOf(/** @type {HTMLElement} */ (document.activeElement));
    redraw();
    if (at >= 0 && document.activeElement === document.body)
      places()[at]?.focus({ preventScroll: true });
  }

  function fail(error) {
    if (error.details?.position !== undefined) {
      setStatus("live");
      field.complain(error);
      return;
    }
    setStatus(error.status ? "failing" : "lost", reasonOf(error));
    if (answered) return;
    note.hidden = false;
    content.hidden = true;
    note.replaceChildren(...notice("The dashboard cannot be shown", reasonOf(error)));
  }

  function draw(answer) {
    const { since, until, start, width, before, points, total } = answer;
    const bounds = points.map((_, at) => [
      Math.max(since, start + at * width),
      Math.min(until, start + (at + 1) * width),
    ]);
    const opens = (order) => (at) => {
      const [from, to] = bounds[at];
      return listPath(state, { from, to, order });
    };
    const names = bounds.map(([from]) => nameOf(from, width));
    const shared = { times: names, ends: bounds.map(([from]) => edgeOf(from, until - since)) };
    const sum = (name) => points.map((point) => point[name]);
    const ago = `${duration(since - before)} before`;
    period.textContent = `${minuteOf(since)} to ${minuteOf(Math.min(until, Math.max(Date.now(), since)))}, compared with the ${ago}`;
    figures.draw(state, answer, `in the ${ago}`);
    const counted = { ...shared, format: count, empty: "None in this period" };
    charts.sessions.draw({
      ...counted,
      total: `${amount(total.sessions, "session")}, ${count(total.failed)} with errors`,
      series: [
        { name: "all", kind: "all", values: sum("sessions") },
        { name: "with errors", kind: "bad", values: sum("failed"), opens: failing },
      ],
      opens: opens("active"),
    });
    charts.steps.draw({
      ...counted,
      total: `${amount(total.steps, "step")}, ${count(total.errors)} failed`,
      series: [
        { name: "all", kind: "all", values: sum("steps") },
        { name: "failed", kind: "bad", values: sum("errors"), opens: failing },
      ],
      opens: opens("errors"),
    });
    charts.tokens.draw({
      ...counted,
      total: amount(total.tokens, "token"),
      series: [{ name: "tokens", kind: "all", values: sum("tokens") }],
      opens: opens("tokens"),
    });
    charts.cost.draw({
      ...shared,
      format: (value) => (value ? money(value) : "$0"),
      empty: "No cost in this period",
      total: `${total.cost ? money(total.cost) : "$0"}${total.unpriced ? ` + ${count(total.unpriced)} unpriced` : ""}`,
      series: [{ name: "cost", kind: "all", values: sum("cost") }],
      opens: opens("cost"),
    });
    charts.latency.draw({ ...shared, ...percentiles("latency", "No session in this period") });
    charts.first.draw({
      ...shared,
      ...percentiles("first_chunk", "No streamed answer in this period"),
    });

    function failing(at) {
      const [from, to] = bounds[at];
      return listPath(state, { from, to, errors: true });
    }

    function percentiles(name, empty) {
      const ofSessions = name === "latency";
      const series = LEVELS.map((level, at) => ({
        name: level,
        kind: level,
        values: points.map((point) => point[name]?.[at] ?? null),
        opens: (step) => slow(step, ofSessions ? points[step][name]?.[at] : undefined),
      }));
      const all = total[name];
      const text = all
        ? LEVELS.map((level, at) => `${level} ${duration(all[at])}`).join(", ")
        : "–";
      return {
        series,
        empty,
        total: text,
        format: (ms) => (ms ? duration(ms) : "0"),
        opens: (step) => slow(step),
      };
    }

    function slow(step, ms) {
      const [from, to] = bounds[step];
      return listPath(state, {
        from,
        to,
        order: "duration",
        term: ms === undefined ? "" : durationFrom(ms),
      });
    }
  }

  showState();

  return {
    save: () => ({ search: writeDashboard(state), scroll: window.scrollY }),
    close() {
      ended.abort();
      live.stop();
      field.stop();
    },
    key(event) {
      if (event.key === "/") {
        event.preventDefault();
        field.input.focus();
        field.input.select();
      } else if (event.key === "Escape" && event.target === field.input) {
        field.set("");
        field.input.blur();
      }
    },
  };
}

const byDay = new Intl.DateTimeFormat(undefined, {
  weekday: "short",
  day: "numeric",
  month: "short",
});
const byHour = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});

const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

const edgeOf = (ms, span) => (span > 2 * DAY_MS ? day : clock).format(ms);
const nameOf = (ms, width) => (width < DAY_MS ? byHour : byDay).format(ms);
