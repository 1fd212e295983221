// The list of sessions: filters, a line for each session, and new ones as they come, without
// moving what is being read.

import { ask, poll, unchanged } from "./api.js";
import { charts } from "./charts.js";
import { el, shape, copyButton } from "./dom.js";
import { ago, amount, clockTime, count, dayName, duration, moment, money } from "./format.js";

const PAGE = 60;
const EVERY = 2000;
const CHARTS_EVERY = 1500;
const TOP = 80; // px: above it new sessions slide in, below they wait for a click
const RANGES = [["", "Any time"], ["900000", "Last 15 minutes"], ["3600000", "Last hour"], ["86400000", "Last 24 hours"], ["604800000", "Last 7 days"]];

export function listView({ main, tell, crumb, go, kept }) {
  const filter = kept?.filter ?? { q: "", errors: false, range: "", span: null };
  const picked = new Set(kept?.picked ?? []);
  let sessions = kept?.sessions ?? [];
  let next = kept?.next ?? null;
  let waiting = [];
  let loaded = Boolean(kept);
  let place = kept?.scroll ?? 0;
  const rows = new Map();

  crumb(el("span", { class: "here" }, "Sessions"));
  document.title = "Sessions · sessiontrace";

  const search = el("input", { type: "search", placeholder: "Search names, inputs, outputs, errors", "aria-label": "Filter sessions", autocomplete: "off", spellcheck: "false" });
  search.value = filter.q;
  let typed = 0;
  search.addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(() => { filter.q = search.value.trim(); restart(); }, 160);
  });
  const errors = el("button", { type: "button", class: "toggle", "aria-pressed": String(filter.errors) }, "With errors");
  errors.addEventListener("click", () => {
    filter.errors = !filter.errors;
    errors.setAttribute("aria-pressed", String(filter.errors));
    restart();
  });
  const range = el("select", { "aria-label": "Time range" }, RANGES.map(([value, label]) => el("option", { value }, label)));
  range.value = filter.range;
  range.addEventListener("change", () => { filter.range = range.value; span(null); });
  const spanChip = el("button", { type: "button", class: "toggle span", hidden: true, "aria-pressed": "true", onclick: () => span(null) });
  const overview = charts({ chosen: (from, to) => { range.value = ""; filter.range = ""; span([from, to]); } });
  const compare = el("button", { type: "button", class: "compare", hidden: true, onclick: () => go(`/compare/${[...picked].map(encodeURIComponent).join("/")}`) }, "Compare these two");
  const fresh = el("button", { type: "button", class: "fresh", hidden: true, onclick: () => { window.scrollTo({ top: 0 }); admit(); } });
  const body = el("tbody", { id: "sessions" });
  const head = ["", "Name", "User", "Started", "Duration", "Steps", "Errors", "Tokens", "Cost", "Status", ""];
  const classes = ["c-state", "c-name", "c-user", "c-time", "c-took num", "c-steps num", "c-errors num", "c-tokens num", "c-cost num", "c-status", "c-pick"];
  const table = el("table", { class: "sessions" },
    el("thead", {}, el("tr", {}, head.map((title, at) => el("th", { scope: "col", class: classes[at] }, title || el("span", { class: "hidden" }, at ? "Compare" : "State"))))),
    body);
  const more = el("button", { type: "button", class: "more", hidden: true, onclick: older }, "Older sessions");
  const note = el("div", { class: "note", hidden: true });
  main.append(
    el("div", { class: "toolbar" },
      el("div", { class: "search" }, search, el("kbd", { "aria-hidden": "true" }, "/")), errors, range, spanChip),
    overview.element, fresh, table, note, more, compare);

  function path(after = null, limit = PAGE) {
    return `/api/sessions?${asked({ limit }, after)}`;
  }

  function asked(more, after = null) {
    const query = new URLSearchParams(more);
    if (filter.q) query.set("q", filter.q);
    if (filter.errors) query.set("errors", "1");
    // In steps of 10 s, so that a repeated question is the same question.
    if (filter.range) query.set("since", Math.floor((Date.now() - Number(filter.range)) / 10_000) * 10_000);
    if (filter.span) {
      query.set("since", filter.span[0]);
      query.set("until", filter.span[1]);
    }
    if (after) query.set("after", after);
    return query;
  }

  function span(chosen) {
    filter.span = chosen;
    spanChip.hidden = !chosen;
    if (chosen) spanChip.textContent = `${moment(chosen[0])} to ${clockTime(chosen[1])} ✕`;
    restart();
  }

  // The charts follow the list, but not at every change: they cost the most to count.
  let chartTimer = 0;
  let chartTag = null;
  function chart(soon) {
    clearTimeout(chartTimer);
    chartTimer = setTimeout(async () => {
      try {
        const { body: answer, tag } = await ask(`/api/histogram?${asked({})}`, undefined, chartTag);
        chartTag = tag;
        if (answer !== unchanged) overview.draw(answer);
      } catch { /* the list tells what is wrong */ }
    }, soon ? 0 : CHARTS_EVERY);
  }

  const live = poll(() => path(), { every: EVERY, seen: receive, failed: fail });
  const clock = setInterval(freshenTimes, 1000);

  function receive(answer) {
    tell("live");
    if (answer === unchanged) return;
    chart(!loaded);
    const known = new Map(sessions.map((one) => [one.session_id, one]));
    const arrived = answer.sessions.filter((one) => !known.has(one.session_id));
    if (!loaded || (known.size && arrived.length === answer.sessions.length)) {
      // The first answer, or so many new sessions that there may be more behind this page.
      sessions = [];
      next = answer.next;
    }
    for (const one of answer.sessions) if (known.has(one.session_id)) Object.assign(known.get(one.session_id), one);
    waiting = arrived;
    if (!loaded || window.scrollY < TOP) admit();
    else {
      fresh.hidden = !waiting.length;
      fresh.textContent = `↑ ${amount(waiting.length, "new session")}`;
      draw();
    }
    loaded = true;
  }

  function admit() {
    fresh.hidden = true;
    sessions = [...waiting, ...sessions].sort((a, b) => b.start_time - a.start_time || (a.session_id < b.session_id ? 1 : -1));
    waiting = [];
    draw();
  }

  function restart() {
    sessions = [];
    waiting = [];
    next = null;
    loaded = false;
    live.again();
  }

  async function older() {
    if (!next || more.disabled) return;
    more.disabled = true;
    try {
      const { body: answer } = await ask(path(next), undefined);
      const known = new Set(sessions.map((one) => one.session_id));
      sessions.push(...answer.sessions.filter((one) => !known.has(one.session_id)));
      next = answer.next;
      draw();
      // Looked at anew: when the button stays in sight, nothing tells the observer to ask again.
      seen.unobserve(more);
      seen.observe(more);
    } catch (error) {
      fail(error);
    } finally {
      more.disabled = false;
    }
  }

  function fail(error) {
    tell(error.status ? "failing" : "lost", error.message);
    if (!loaded) explain("The sessions cannot be shown", error.status ? error.message : "The server does not answer. Is it still running?");
  }

  function explain(title, text) {
    note.hidden = false;
    note.className = "note";
    note.replaceChildren(el("h2", {}, title), el("p", {}, text));
    table.hidden = true;
  }

  function draw() {
    const anchor = document.activeElement?.closest?.("tr")?.dataset.id;
    const lines = [];
    let today = null;
    const longest = Math.max(1, ...sessions.map((one) => one.duration));
    for (const one of sessions) {
      const name = dayName(one.start_time);
      if (name !== today) {
        today = name;
        lines.push(el("tr", { class: "day" }, el("th", { colspan: 11, scope: "colgroup" }, name)));
      }
      const line = rows.get(one.session_id) ?? { row: null, drawn: "" };
      const mark = JSON.stringify(one) + longest;
      if (line.drawn !== mark) {
        const made = row(one, longest);
        if (loaded && !line.row && rows.size) made.classList.add("arrived");
        line.row = made;
        line.drawn = mark;
        rows.set(one.session_id, line);
      }
      lines.push(line.row);
    }
    body.replaceChildren(...lines);
    table.hidden = !sessions.length;
    note.hidden = sessions.length > 0;
    more.hidden = !next;
    if (!sessions.length) empty();
    if (anchor) rows.get(anchor)?.row.querySelector("a").focus({ preventScroll: true });
    if (place) { window.scrollTo(0, place); place = 0; }
  }

  function row(one, longest) {
    const failed = one.errors > 0 || one.error !== null;
    const state = one.status === "open" ? "open" : one.status === "ended" ? (one.error !== null ? "error" : "ended") : one.status;
    const href = `/sessions/${encodeURIComponent(one.session_id)}`;
    const share = Math.max(0.012, one.duration / longest);
    const cells = [
      el("span", { class: `dot s-${state}`, "aria-hidden": "true" }),
      [el("a", { href, "data-route": true, title: one.session_id }, one.name ?? "unnamed session"), one.source ? el("span", { class: "source" }, one.source) : null],
      one.user ?? el("span", { class: "none" }, "–"),
      el("time", { datetime: new Date(one.start_time).toISOString(), title: moment(one.start_time), "data-at": one.start_time }, ago(one.start_time)),
      el("span", { class: "length" }, el("span", { class: "share", "aria-hidden": "true" }, el("i", { style: { width: `${share * 100}%` } })), el("span", {}, duration(one.duration))),
      count(one.events),
      failed ? el("span", { class: "bad" }, one.errors ? count(one.errors) : "1") : el("span", { class: "none" }, "–"),
      one.tokens ? count(one.tokens) : el("span", { class: "none" }, "–"),
      one.cost ? money(one.cost) : el("span", { class: "none" }, "–"),
      el("span", { class: `status s-${state}` }, state === "error" ? "failed" : one.status),
      picker(one),
    ];
    return el("tr", { "data-id": one.session_id, class: failed ? "failed" : "", onclick: (event) => {
      if (event.target.closest("a, .c-pick") || String(getSelection())) return;
      go(href);
    } }, cells.map((cell, at) => el("td", { class: classes[at] }, cell)));
  }

  function picker(one) {
    const box = el("input", { type: "checkbox", "aria-label": `Compare ${one.name ?? "unnamed session"}`, checked: picked.has(one.session_id) });
    box.addEventListener("change", () => {
      if (box.checked) picked.add(one.session_id);
      else picked.delete(one.session_id);
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
      explain("No session matches", "Nothing in this store fits the filters above.");
      note.append(el("button", { type: "button", class: "quiet", onclick: () => {
        Object.assign(filter, { q: "", errors: false, range: "", span: null });
        spanChip.hidden = true;
        search.value = "";
        range.value = "";
        errors.setAttribute("aria-pressed", "false");
        restart();
      } }, "Clear the filters"));
      return;
    }
    if (note.dataset.welcome && note.querySelector("pre")) return;
    note.dataset.welcome = "1";
    const about = await ask("/api/about").then((answer) => answer.body, () => null);
    if (sessions.length) return;
    welcome(about?.store);
  }

  function welcome(store) {
    const code = "import sessiontrace as st\n\nst.init(\"local\")\n\nwith st.session(\"hello\", user=\"ada\"):\n    with st.span(\"think\", type=\"model\", inputs={\"question\": \"6 x 7\"}) as span:\n        span.set(outputs={\"answer\": 42})\n";
    note.className = "note welcome";
    note.replaceChildren(
      el("div", { class: "trio", "aria-hidden": "true" }, shape("chain"), shape("tool"), shape("model")),
      el("h2", {}, "No sessions yet"),
      el("p", {}, "Run this, and your first session appears here by itself:"),
      el("div", { class: "code" }, el("pre", {}, el("code", {}, code)), copyButton("Copy", () => code)),
      store ? el("p", { class: "fine" }, "This page shows ", el("code", {}, store), ". Programs with another ", el("code", {}, "SESSIONTRACE_STORE"), " write elsewhere.") : "");
    table.hidden = true;
    note.hidden = false;
  }

  if (kept) { draw(); chart(true); compare.hidden = picked.size !== 2; }

  const seen = new IntersectionObserver((entries) => { if (entries[0].isIntersecting && !more.hidden) older(); }, { rootMargin: "400px" });
  seen.observe(more);

  return {
    keep: () => ({ filter, sessions, next, picked: [...picked], scroll: window.scrollY }),
    close() {
      live.stop();
      clearInterval(clock);
      clearTimeout(chartTimer);
      seen.disconnect();
    },
    key(event) {
      const links = [...body.querySelectorAll("a[data-route]")];
      const at = links.indexOf(document.activeElement);
      if (event.key === "/") { event.preventDefault(); search.focus(); search.select(); }
      else if (event.key === "ArrowDown" || event.key === "j") { event.preventDefault(); links[Math.min(at + 1, links.length - 1)]?.focus(); }
      else if (event.key === "ArrowUp" || event.key === "k") { event.preventDefault(); links[Math.max(at - 1, 0)]?.focus(); }
      else if (event.key === "Escape" && event.target === search) { search.value = ""; filter.q = ""; search.blur(); restart(); }
    },
  };
}
