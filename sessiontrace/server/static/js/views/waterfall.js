// The waterfall: a row for each step, with its place in the tree on the left and its time on a common
// axis on the right. Keyboard: arrows move and fold, Enter opens the step, z zooms to it.

import { el, shape } from "../elements.js";
import { amount, duration } from "../values/format.js";
import { countBelow, extent, grow, rows, tickStep } from "../values/tree.js";

const TICK_PX = 110;

export function waterfall({ selected, opened, folded: savedFolds }) {
  const folded = new Set(savedFolds ?? []);
  const matches = new Set();
  const state = {
    answer: null,
    tree: null,
    shown: [],
    lines: new Map(),
    chosen: null,
    zoom: null,
    axis: null,
  };
  const ticks = el("div", { class: "ticks", "aria-hidden": "true" });
  const reset = el(
    "button",
    { type: "button", class: "quiet small", hidden: true, onclick: () => unzoom() },
    "Whole session",
  );
  const list = el("div", { class: "steps", role: "tree", "aria-label": "Steps of the session" });
  const omitted = el("p", { class: "omitted", hidden: true });
  const hint = el(
    "p",
    { class: "hint", "aria-hidden": "true" },
    ...[
      ["↑ ↓", "move"],
      ["← →", "fold"],
      ["Enter", "open"],
      ["z", "zoom"],
      ["/", "find"],
      ["Esc", "back"],
    ].map(([key, what]) => el("span", {}, el("kbd", {}, key), ` ${what}`)),
  );
  const element = el(
    "section",
    { class: "waterfall", "aria-label": "Waterfall" },
    el("div", { class: "axis" }, el("div", { class: "axis-name" }, "Steps", reset), ticks),
    list,
    omitted,
    hint,
  );

  const watcher = new ResizeObserver(() => drawAxis());
  watcher.observe(ticks);

  function draw(answer) {
    state.answer = answer;
    state.tree = grow(answer.session, answer.events);
    state.axis = state.zoom ?? extent(answer.session, answer.events);
    omitted.hidden = !answer.omitted;
    omitted.textContent = `${amount(answer.omitted, "more step")} not shown`;
    layout();
    drawAxis();
  }

  function layout() {
    const hadFocus = list.contains(document.activeElement);
    state.shown = rows(state.tree.root, folded);
    const lines = new Map();
    for (const row of state.shown) {
      const mark = JSON.stringify([
        row.guides,
        row.node.event,
        row.node.children.length,
        folded.has(row.node.id),
        state.axis,
        row.node.event ? 0 : state.answer.session,
        row.node.lost,
      ]);
      const before = state.lines.get(row.node.id);
      lines.set(row.node.id, before?.mark === mark ? before : { mark, element: line(row) });
    }
    state.lines = lines;
    for (const [id, line] of lines) line.element.classList.toggle("found", matches.has(id));
    list.replaceChildren(...state.shown.map((row) => lines.get(row.node.id).element));
    mark();
    if (hadFocus) lines.get(state.chosen)?.element.focus({ preventScroll: true });
  }

  function drawAxis() {
    if (!state.axis) return;
    const { from, to } = state.axis;
    const length = to - from;
    const step = tickStep(length, Math.max(1, ticks.clientWidth / TICK_PX));
    const marks = [];
    for (let at = 0; at <= length; at += step) {
      const left = (at / length) * 100;
      marks.push(
        el(
          "span",
          { style: { left: `${left}%` } },
          at === 0 && !state.zoom
            ? "0"
            : tick(at + (state.zoom ? from - state.answer.session.start_time : 0)),
        ),
      );
    }
    ticks.replaceChildren(...marks);
    list.style.setProperty("--tick", `${(step / length) * 100}%`);
  }

  const tick = (ms) =>
    duration(ms)
      .replace(/\.0+ /, " ")
      .replace(/(\.\d)0 /, "$1 ");

  function line({ node, depth, guides }) {
    const session = state.answer.session;
    const event = node.event;
    const failed = event ? event.error !== null : session.error !== null;
    const status = event ? event.status : session.status;
    const name = event ? event.name : (session.name ?? "unnamed session");
    const under = node.children.length;
    const fold = under
      ? el(
          "span",
          {
            class: "fold",
            "aria-hidden": "true",
            onclick: (click) => {
              click.stopPropagation();
              toggle(node.id);
            },
          },
          folded.has(node.id) ? "▸" : "▾",
        )
      : el("span", { class: "fold" });
    const row = el(
      "div",
      {
        class: `step type-${node.type} s-${status}${failed ? " failed" : ""}`,
        role: "treeitem",
        tabindex: "-1",
        "data-id": node.id,
        "aria-level": depth + 1,
        "aria-expanded": under ? String(!folded.has(node.id)) : null,
      },
      el(
        "div",
        { class: "who" },
        guides.slice(0, -1).map((goesOn) => el("span", { class: goesOn ? "guide on" : "guide" })),
        depth ? el("span", { class: guides.at(-1) ? "guide branch on" : "guide branch" }) : null,
        fold,
        shape(node.type),
        // The spaces are invisible: screen readers read a row as its text.
        el("span", { class: "name", title: name }, name),
        " ",
        failed
          ? el("span", { class: "mark bad", title: event ? event.error : session.error }, "error")
          : null,
        " ",
        status === "open" || status === "abandoned" || status === "cancelled"
          ? el("span", { class: `mark s-${status}` }, status)
          : null,
        " ",
        node.lost
          ? el(
              "span",
              { class: "mark", title: "The parent of this step is not in this store" },
              "parent missing",
            )
          : null,
        " ",
        folded.has(node.id) ? el("span", { class: "mark" }, `+${countBelow(node)}`) : null,
        " ",
        el("span", { class: "type" }, node.type),
      ),
      " ",
      lane(node, failed, status),
    );
    row.addEventListener("click", () => {
      choose(node.id);
      opened();
      row.focus({ preventScroll: true });
    });
    row.addEventListener("dblclick", () => zoomTo(node.id));
    return row;
  }

  function times(node) {
    const session = state.answer.session;
    if (!node.event)
      return { start: session.start_time, end: session.end_time, took: session.duration };
    const { start_time: start, end_time: end, duration: took } = node.event;
    return { start, end: end ?? Math.max(session.end_time, start), took };
  }

  function lane(node, failed, status) {
    const { from, to } = state.axis;
    const { start, end, took } = times(node);
    const length = to - from;
    const left = Math.min(100, Math.max(0, ((start - from) / length) * 100));
    const right = Math.min(
      100,
      Math.max(0, ((Math.max(end, start + (took ?? 0)) - from) / length) * 100),
    );
    const outside = end < from || start > to;
    return el(
      "div",
      { class: "lane" },
      outside
        ? null
        : el("div", {
            class: `bar${failed ? " failed" : ""} s-${status}`,
            style: { left: `${left}%`, width: `${right - left}%` },
          }),
      outside || !node.event ? null : firstChunk(node.event, from, length),
      outside
        ? null
        : el(
            "span",
            { class: "took", style: { left: `${right}%` } },
            took === null ? "running" : duration(took),
          ),
    );
  }

  // A notch in the bar where the first chunk of a streamed answer arrived.
  function firstChunk(event, from, length) {
    if (event.first_chunk === null) return null;
    const at = ((event.start_time + event.first_chunk - from) / length) * 100;
    if (at < 0 || at > 100) return null;
    return el("i", {
      class: "first-chunk",
      style: { left: `${at}%` },
      title: `First chunk after ${duration(event.first_chunk)}`,
    });
  }

  function choose(id) {
    if (state.chosen === id) return;
    state.chosen = id;
    mark();
    selected(id);
  }

  function mark() {
    for (const old of list.querySelectorAll("[aria-selected]")) {
      old.removeAttribute("aria-selected");
      old.tabIndex = -1;
    }
    const line = state.lines.get(state.chosen)?.element ?? list.firstElementChild;
    if (line) {
      line.tabIndex = 0;
      if (line.dataset.id === state.chosen) line.setAttribute("aria-selected", "true");
    }
  }

  function toggle(id, fold = !folded.has(id)) {
    if (fold) folded.add(id);
    else folded.delete(id);
    layout();
  }

  function zoomTo(id) {
    const node = id === state.tree.root.id ? null : state.tree.nodes.get(id);
    if (!node) return unzoom();
    const { start, end, took } = times(node);
    const length = Math.max(1, end - start, took ?? 0);
    state.zoom = { from: start - length * 0.02, to: start + length * 1.02 };
    state.axis = state.zoom;
    reset.hidden = false;
    layout();
    drawAxis();
    return true;
  }

  function unzoom() {
    if (!state.zoom) return false;
    state.zoom = null;
    state.axis = extent(state.answer.session, state.answer.events);
    reset.hidden = true;
    layout();
    drawAxis();
    return true;
  }

  function moveTo(index) {
    const row = state.shown[Math.max(0, Math.min(index, state.shown.length - 1))];
    if (!row) return;
    choose(row.node.id);
    const line = state.lines.get(row.node.id).element;
    line.focus({ preventScroll: true });
    line.scrollIntoView({ block: "nearest" });
  }

  function key(event) {
    if (!state.tree || event.target.closest?.(".detail, .top, button, summary")) return;
    const at = state.shown.findIndex((row) => row.node.id === state.chosen);
    const row = state.shown[at];
    const actions = {
      ArrowDown: () => moveTo(at + 1),
      j: () => moveTo(at + 1),
      ArrowUp: () => moveTo(at - 1),
      k: () => moveTo(at - 1),
      Home: () => moveTo(0),
      End: () => moveTo(state.shown.length - 1),
      ArrowRight: () => {
        if (!row) return;
        if (folded.has(row.node.id)) toggle(row.node.id, false);
        else if (row.node.children.length) moveTo(at + 1);
      },
      ArrowLeft: () => {
        if (!row) return;
        if (row.node.children.length && !folded.has(row.node.id)) toggle(row.node.id, true);
        else
          moveTo(
            state.shown.findLastIndex((above, index) => index < at && above.depth < row.depth),
          );
      },
      Enter: () => opened(),
      z: () => row && zoomTo(row.node.id),
    };
    if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  }

  return {
    element,
    draw,
    key,
    unzoom,
    find(ids) {
      matches.clear();
      for (const id of ids ?? []) matches.add(id);
      for (const [id, line] of state.lines) line.element.classList.toggle("found", matches.has(id));
      list.classList.toggle("finding", ids !== null);
      const first = state.shown.findIndex((row) => matches.has(row.node.id));
      if (first >= 0)
        state.lines.get(state.shown[first].node.id).element.scrollIntoView({ block: "nearest" });
    },
    nextFound() {
      const at = state.shown.findIndex((row) => row.node.id === state.chosen);
      const next = [...state.shown.slice(at + 1), ...state.shown.slice(0, at + 1)].find((row) =>
        matches.has(row.node.id),
      );
      if (next) moveTo(state.shown.indexOf(next));
    },
    has: (id) => id === state.tree?.root.id || Boolean(state.tree?.nodes.has(id)),
    select: (id) => {
      state.chosen = id;
      mark();
    },
    focus: () => state.lines.get(state.chosen)?.element.focus({ preventScroll: true }),
    folded: () => [...folded],
    close: () => watcher.disconnect(),
  };
}
