// One chart over time: bars or lines with a scale, a legend, a total, and the same as a table. Each
// step of time opens the list of its sessions. One step is in the order of the Tab key; arrows go to
// the others, Enter opens.

import { el, svg } from "../elements.js";
import { ticks, timeTicks } from "./scale.js";

const HEIGHT = 120;
const LABELS = 4;

/**
 * @typedef {{name: string, kind: string, values: (number | null)[],
 *   opens?: (at: number) => string}} Series `kind` is the class of its marks
 */

/** @param {{title: string, lines?: boolean}} options `lines`: times in ms, joined by lines; else bars */
export function timeChart({ title, lines = false }) {
  const heading = el("h2", {}, title);
  const total = el("span", { class: "soft" });
  const legend = el("span", { class: "legend" });
  const plot = el("div", { class: "plot" });
  const body = el("tbody", {});
  const head = el("thead", {});
  const table = el(
    "details",
    { class: "as-table" },
    el("summary", {}, "As a table"),
    el(
      "div",
      { class: "scrolls", tabindex: "0", role: "region", "aria-label": `${title}, as a table` },
      el("table", {}, el("caption", { class: "hidden" }, title), head, body),
    ),
  );
  const element = el(
    "figure",
    { class: lines ? "over-time with-lines" : "over-time" },
    el("figcaption", {}, heading, total, legend),
    plot,
    table,
  );

  /**
   * @param {{times: string[], ends: string[], series: Series[], total: string, empty: string,
   *   format: (value: number) => string, opens: (at: number) => string}} content
   * `times` name the steps, `ends` are the labels below
   */
  function draw(content) {
    total.textContent = content.total;
    legend.replaceChildren(
      ...content.series.map(({ name, kind }) => el("span", { class: `key ${kind}` }, name)),
    );
    const focused = [...plot.querySelectorAll("a.step")].indexOf(
      /** @type {any} */ (document.activeElement),
    );
    const something = content.series.some(({ values }) => values.some((value) => value));
    plot.replaceChildren(
      ...(something ? drawn(content) : [el("p", { class: "nothing" }, content.empty)]),
    );
    table.hidden = !something;
    const steps = /** @type {any[]} */ ([...plot.querySelectorAll("a.step")]);
    if (focused >= 0) goTo(steps, Math.min(focused, steps.length - 1));
    tabulate(content);
  }

  function drawn({ times, ends, series, format, opens, total: sum }) {
    const scale = (lines ? timeTicks : ticks)(
      Math.max(...series.flatMap(({ values }) => values.map((value) => value ?? 0))),
    );
    const most = scale.at(-1);
    const y = (value) => HEIGHT - (value / most) * HEIGHT;
    const count = times.length;
    const steps = times.map((time, at) => {
      const values = series.map(({ name, values: own }) => [name, own[at]]);
      const known = values.filter(([, value]) => value !== null);
      if (!known.some(([, value]) => value)) return null;
      const text = `${time}: ${known.map(([name, value]) => `${name} ${format(value)}`).join(", ")}`;
      return svg(
        "a",
        { class: "step", href: opens(at), "data-route": true, tabindex: "-1", "aria-label": text },
        svg("title", {}, text),
        svg("rect", { class: "room", x: at, y: 0, width: 1, height: HEIGHT }),
        lines ? [] : series.map(({ kind, values: own }) => bar(kind, at, own[at] ?? 0, y)),
      );
    });
    const present = steps.filter(Boolean);
    present.at(-1)?.setAttribute("tabindex", "0");
    const grid = scale
      .slice(1)
      .map((tick) => svg("path", { class: "rule", d: `M0 ${y(tick)}H${count}` }));
    return [
      el(
        "div",
        { class: "scale", "aria-hidden": "true" },
        scale.toReversed().map((tick) => el("span", {}, format(tick))),
      ),
      svg(
        "svg",
        {
          viewBox: `0 0 ${count} ${HEIGHT}`,
          preserveAspectRatio: "none",
          role: "group",
          "aria-label": `${title}: ${sum}`,
          onkeydown: (event) => walk(event, present),
        },
        grid,
        present,
        lines ? series.map((own) => line(own, y)) : [],
        lines ? series.flatMap((own) => dots(own, times, format, y)) : [],
      ),
      el(
        "div",
        { class: "ends", "aria-hidden": "true" },
        some(ends).map((text) => el("span", {}, text)),
      ),
    ];
  }

  function tabulate({ times, series, format, opens }) {
    head.replaceChildren(
      el(
        "tr",
        {},
        el("th", { scope: "col" }, "Time"),
        series.map(({ name }) => el("th", { scope: "col", class: "num" }, name)),
      ),
    );
    body.replaceChildren(
      ...times.map((time, at) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, el("a", { href: opens(at), "data-route": true }, time)),
          series.map(({ values, opens: opensOwn }) => {
            const value = values[at];
            if (value === null) return el("td", { class: "num" }, "–");
            const text = format(value);
            const path = opensOwn?.(at);
            return el(
              "td",
              { class: "num" },
              path ? el("a", { href: path, "data-route": true }, text) : text,
            );
          }),
        ),
      ),
    );
  }

  return { element, draw };
}

function bar(kind, at, value, y) {
  const height = value ? Math.max(1.5, HEIGHT - y(value)) : 0;
  return svg("rect", { class: kind, x: at + 0.12, y: HEIGHT - height, width: 0.76, height });
}

/** A line through the middle of the steps that have a value; it breaks where one has none. */
function line({ kind, values }, y) {
  let pen = "M";
  const path = values.map((value, at) => {
    const mark = value === null ? "" : `${pen}${at + 0.5} ${y(value)}`;
    pen = value === null ? "M" : "L";
    return mark;
  });
  return svg("path", { class: `line ${kind}`, d: path.join("") });
}

// A dot is a line without length and with round ends, so that it stays round in a stretched drawing.
function dots({ name, kind, values, opens }, times, format, y) {
  return values.map((value, at) => {
    if (value === null) return null;
    const d = `M${at + 0.5} ${y(value)}h.001`;
    const text = `${times[at]}: ${name} ${format(value)}`;
    const marks = [
      svg("title", {}, text),
      svg("path", { class: "reach", d }),
      svg("path", { class: `point ${kind}`, d }),
    ];
    if (!opens) return svg("g", {}, marks);
    return svg(
      "a",
      { href: opens(at), "data-route": true, tabindex: "-1", "aria-label": text },
      marks,
    );
  });
}

/** A few of the labels, the first and the last among them. */
function some(labels) {
  const count = Math.min(LABELS, labels.length);
  return Array.from(
    { length: count },
    (_, at) => labels[Math.round((at * (labels.length - 1)) / Math.max(1, count - 1))],
  );
}

function goTo(steps, at) {
  if (!steps[at]) return;
  for (const step of steps) step.setAttribute("tabindex", "-1");
  steps[at].setAttribute("tabindex", "0");
  steps[at].focus({ preventScroll: true });
}

function walk(event, steps) {
  const at = steps.indexOf(event.target);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: steps.length - 1 }[event.key];
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  goTo(steps, Math.max(0, Math.min(to, steps.length - 1)));
}
