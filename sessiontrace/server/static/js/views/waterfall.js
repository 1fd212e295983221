// The waterfall: a row for each step, with its place in the tree on the left and its time on a common
// axis on the right. Keyboard: arrows move and fold, Enter opens the step, z zooms to it, e goes to
// the next error.

import { el } from "../elements.js";
import { splitter } from "../splitter.js";
import { amount, duration } from "../values/format.js";
import {
  above,
  extent,
  grow,
  isFailed,
  rows,
  startOf,
  tickStep,
  usages,
  withAbove,
} from "../values/tree.js";
import { nameSlider } from "./name_slider.js";
import { stepRow, times } from "./waterfall_row.js";

const TICK_PX = 110;
const TOP_PX = 48; // the head of the page
const HINTS = [
  ["↑ ↓", "move"],
  ["← →", "fold"],
  ["Enter", "open"],
  ["z", "zoom"],
  ["e", "next error"],
  ["/", "find"],
  ["Esc", "back"],
];

export function waterfall({ selected, opened, folded: savedFolds, finder }) {
  const folded = new Set(savedFolds ?? []);
  const matches = new Set();
  const state = {
    answer: null,
    tree: null,
    usages: new Map(),
    shown: [],
    lines: new Map(),
    chosen: null,
    zoom: null,
    axis: null,
    errorsOnly: false,
  };
  const ticks = el("div", { class: "ticks", "aria-hidden": "true" });
  const button = (label, onclick, attributes = {}) =>
    el("button", { type: "button", class: "quiet small", onclick, ...attributes }, label);
  const reset = button("Whole session", () => unzoom(), { hidden: true });
  const onlyErrors = button("Errors only", () => showErrorsOnly(!state.errorsOnly), {
    "aria-pressed": "false",
  });
  const nextError = button("Next error", () => goToNext(isFailed, 1), { title: "The key e" });
  const errorTools = el("span", { class: "errors-tools" }, onlyErrors, nextError);
  const useSwitch = button("Tokens and cost", () => {
    const on = element.classList.toggle("usage");
    useSwitch.setAttribute("aria-pressed", String(on));
  });
  useSwitch.classList.add("use-switch");
  useSwitch.setAttribute("aria-pressed", "false");
  const tools = el(
    "div",
    { class: "tools-bar" },
    finder,
    el(
      "div",
      { class: "tree-tools", role: "group", "aria-label": "Steps" },
      button("Expand all", () => foldAll(false)),
      button("Collapse all", () => foldAll(true)),
      errorTools,
      useSwitch,
    ),
  );
  const list = el("div", { class: "steps", role: "tree", "aria-label": "Steps of the session" });
  const omitted = el("p", { class: "omitted", hidden: true });
  const hint = el(
    "p",
    { class: "hint", "aria-hidden": "true" },
    ...HINTS.map(([key, what]) => el("span", {}, el("kbd", {}, key), ` ${what}`)),
  );
  const names = splitter({
    key: "sessiontrace.names",
    label: "Width of the steps' names",
    controls: () => element,
    property: "--names",
    width: () => axisName.offsetWidth,
    range: () => [120, Math.max(120, element.clientWidth - 130)],
    moved: () => slider.fit(),
  });
  const axisName = el("div", { class: "axis-name" }, "Steps", reset);
  const axis = el(
    "div",
    { class: "axis" },
    axisName,
    el("div", { class: "use" }, "Tokens"),
    el("div", { class: "use" }, "Cost"),
    ticks,
  );
  const element = el(
    "section",
    { class: "waterfall", "aria-label": "Waterfall" },
    tools,
    axis,
    names.line,
    list,
    omitted,
    hint,
  );

  const slider = nameSlider(element, list, () => axisName.offsetWidth);
  element.insertBefore(slider.slider, omitted);
  const watcher = new ResizeObserver(() => {
    element.style.setProperty("--axis-top", `${TOP_PX + tools.offsetHeight}px`);
    names.show();
    slider.fit();
    drawAxis();
  });
  watcher.observe(ticks);
  watcher.observe(element);
  watcher.observe(tools);

  function draw(answer) {
    state.answer = answer;
    state.tree = grow(answer.session, answer.events);
    state.usages = usages(state.tree.root);
    state.axis = state.zoom ?? extent(answer.session, answer.events);
    omitted.hidden = !answer.omitted;
    omitted.textContent = `${amount(answer.omitted, "more step")} not shown`;
    const errors = answer.events.filter((event) => event.error !== null).length;
    errorTools.hidden = !errors;
    if (!errors) state.errorsOnly = false;
    nextError.textContent = errors > 1 ? `Next of ${errors} errors` : "Next error";
    const { tokens, cost } = state.usages.get(state.tree.root.id);
    element.classList.toggle("no-use", !tokens && !cost);
    layout();
    drawAxis();
  }

  function layout() {
    const hadFocus = list.contains(document.activeElement);
    const kept = state.errorsOnly ? withAbove(state.tree.root, isFailed) : null;
    state.shown = rows(state.tree.root, folded, kept);
    const lines = new Map();
    for (const row of state.shown) {
      const usage = usageOf(row.node);
      const mark = JSON.stringify([
        row.guides,
        row.node.event,
        row.node.children.length,
        folded.has(row.node.id),
        state.axis,
        row.node.event ? 0 : state.answer.session,
        row.node.lost,
        usage,
      ]);
      const before = state.lines.get(row.node.id);
      lines.set(row.node.id, before?.mark === mark ? before : { mark, element: line(row, usage) });
    }
    state.lines = lines;
    for (const [id, line] of lines) line.element.classList.toggle("found", matches.has(id));
    list.replaceChildren(...state.shown.map((row) => lines.get(row.node.id).element));
    mark();
    slider.fit(Math.max(...state.shown.map((row) => row.depth)));
    if (hadFocus) lines.get(state.chosen)?.element.focus({ preventScroll: true });
  }

  function usageOf(node) {
    if (node.event) return state.usages.get(node.id);
    const { tokens, cost, unpriced } = state.answer.session; // updates count there, too
    return { tokens, cost, unpriced: Number(unpriced ?? 0), own: true };
  }

  function drawAxis() {
    if (!state.axis) return;
    const { from, to } = state.axis;
    const length = to - from;
    const step = tickStep(length, Math.max(1, ticks.clientWidth / TICK_PX));
    const offset = state.zoom ? from - startOf(state.answer.session) : 0;
    const marks = [];
    for (let at = 0; at <= length; at += step) {
      const left = (at / length) * 100;
      const label = at === 0 && !state.zoom ? "0" : tick(at + offset);
      marks.push(el("span", { style: { left: `${left}%` } }, label));
    }
    ticks.replaceChildren(...marks);
    list.style.setProperty("--tick", `${(step / length) * 100}%`);
  }

  const tick = (ms) =>
    duration(ms)
      .replace(/\.0+ /, " ")
      .replace(/(\.\d)0 /, "$1 ");

  function line(row, usage) {
    const { node } = row;
    const { session } = state.answer;
    const isFolded = folded.has(node.id);
    const toggled = () => toggle(node.id);
    const drawn = stepRow(row, {
      session,
      axis: state.axis,
      usage,
      folded: isFolded,
      toggle: toggled,
    });
    drawn.addEventListener("click", () => {
      choose(node.id);
      drawn.focus({ preventScroll: true });
      opened();
    });
    drawn.addEventListener("dblclick", () => zoomTo(node.id));
    return drawn;
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

  function foldAll(fold) {
    folded.clear();
    if (fold)
      for (const node of state.tree.nodes.values()) if (node.children.length) folded.add(node.id);
    layout();
  }

  function showErrorsOnly(on) {
    state.errorsOnly = on;
    onlyErrors.setAttribute("aria-pressed", String(on));
    layout();
  }

  /** Make a step visible, whatever hides it. */
  function unfoldTo(id) {
    const path = above(state.tree.root, id);
    const isHidden = path.some((each) => folded.has(each));
    for (const each of path) folded.delete(each);
    const kept = state.errorsOnly && withAbove(state.tree.root, isFailed);
    if (kept && !kept.has(id)) showErrorsOnly(false);
    else if (isHidden) layout();
  }

  /** Go to the next step, or the previous one, that a condition selects, folded or not. */
  function goToNext(condition, way) {
    const all = rows(state.tree.root, new Set()).map((row) => row.node);
    const at = all.findIndex((node) => node.id === state.chosen);
    const order = [...all.slice(at + 1), ...all.slice(0, at + 1)];
    const next = way > 0 ? order.find(condition) : order.slice(0, -1).findLast(condition);
    const target = next ?? (all[at] && condition(all[at]) ? all[at] : null);
    if (target) reveal(target.id, "center");
    return target?.id ?? null;
  }

  /** Select a step and scroll to it. @param {ScrollLogicalPosition} block */
  function reveal(id, block) {
    unfoldTo(id);
    moveTo(
      state.shown.findIndex((row) => row.node.id === id),
      block,
    );
  }

  function zoomTo(id) {
    const node = id === state.tree.root.id ? null : state.tree.nodes.get(id);
    if (!node) return unzoom();
    const { start, end, took } = times(node, state.answer.session);
    const length = Math.max(0.001, end - start, took ?? 0);
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

  /** @param {number} index @param {ScrollLogicalPosition} block */
  function moveTo(index, block = "nearest", focus = true) {
    const row = state.shown[Math.max(0, Math.min(index, state.shown.length - 1))];
    if (!row) return;
    choose(row.node.id);
    const line = state.lines.get(row.node.id).element;
    if (focus) line.focus({ preventScroll: true });
    line.scrollIntoView({ block });
    slider.show(row.depth);
  }

  function key(event) {
    const ignored = ".detail, .top, button, summary, .splitter, .slider";
    if (!state.tree || event.target.closest?.(ignored)) return;
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
      e: () => goToNext(isFailed, 1),
      E: () => goToNext(isFailed, -1),
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
    /** Mark the steps of these ids, and show the first. @param {string[] | null} ids */
    find(ids) {
      matches.clear();
      for (const id of ids ?? []) matches.add(id);
      for (const [id, line] of state.lines) line.element.classList.toggle("found", matches.has(id));
      list.classList.toggle("finding", ids !== null);
      const first = state.shown.find((row) => matches.has(row.node.id));
      if (!first) return;
      state.lines.get(first.node.id).element.scrollIntoView({ block: "nearest" });
      slider.show(first.depth);
    },
    /** Go to the next marked step, or the previous one; its place among them, from 1. */
    nextFound(way = 1) {
      const id = goToNext((node) => matches.has(node.id), way);
      return id === null ? 0 : [...matches].indexOf(id) + 1;
    },
    has: (id) => id === state.tree?.root.id || Boolean(state.tree?.nodes.has(id)),
    select: (id) => {
      state.chosen = id;
      mark();
    },
    /** Select a step of an address: unfold what is above it and scroll to it. */
    reveal(id) {
      unfoldTo(id);
      const index = state.shown.findIndex((row) => row.node.id === id);
      state.chosen = id;
      mark();
      moveTo(index, "center", false);
    },
    focus: () => state.lines.get(state.chosen)?.element.focus({ preventScroll: true }),
    folded: () => [...folded],
    close: () => watcher.disconnect(),
  };
}
