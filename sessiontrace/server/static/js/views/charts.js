// Two small charts above the list: sessions over time, and their durations. A click on a bar of the
// first one filters the list by its time.

import { el, svg } from "../elements.js";
import { amount, count, duration, minuteOf, moment } from "../values/format.js";

const HEIGHT = 44;
const LEAST_COLUMNS = 12; // a single bar is not a slab

export function charts({ chosen }) {
  const time = el("figure", { class: "chart" });
  const durations = el("figure", { class: "chart durations-chart" });
  const element = el("div", { class: "charts", hidden: true }, time, durations);

  // Reserves room as soon as there is anything to draw: the list below must not jump.
  function reserve(something) {
    if (!time.firstChild) element.hidden = !something;
  }

  function draw(answer) {
    element.hidden = !answer.sessions.length;
    if (element.hidden) return;
    const total = answer.sessions.reduce((sum, value) => sum + value, 0);
    const failed = answer.failed.reduce((sum, value) => sum + value, 0);
    const end = answer.start + answer.width * answer.sessions.length;
    bars(
      time,
      [
        "Sessions over time",
        el("span", { class: "soft" }, amount(total, "session")),
        failed ? el("span", { class: "with-errors" }, `${count(failed)} with errors`) : null,
      ],
      `${amount(total, "session")}, ${failed} with errors, ${moment(answer.start)} to ${moment(end)}`,
      answer.sessions.map((value, at) => ({
        value,
        bad: answer.failed[at],
        title: `${moment(answer.start + at * answer.width)}: ${amount(value, "session")}${answer.failed[at] ? `, ${answer.failed[at]} with errors` : ""}`,
        pick: () =>
          chosen(answer.start + at * answer.width, answer.start + (at + 1) * answer.width),
      })),
      [minuteOf(answer.start), minuteOf(Math.min(end, Math.max(Date.now(), answer.start)))],
    );
    const first = answer.durations.findIndex(Boolean);
    const last = answer.durations.findLastIndex(Boolean);
    const shown = answer.durations.slice(first, last + 1);
    const name = (at) =>
      at === 0
        ? `under ${duration(answer.bounds[0])}`
        : at === answer.bounds.length
          ? `over ${duration(answer.bounds.at(-1))}`
          : `${duration(answer.bounds[at - 1])} to ${duration(answer.bounds[at])}`;
    bars(
      durations,
      ["Durations"],
      shown.map((value, at) => `${name(first + at)}: ${value}`).join(", "),
      shown.map((value, at) => ({
        value,
        bad: 0,
        title: `${name(first + at)}: ${amount(value, "session")}`,
      })),
      [
        first > 0 ? duration(answer.bounds[first - 1]) : "0 ms",
        last < answer.bounds.length
          ? duration(answer.bounds[last])
          : `over ${duration(answer.bounds.at(-1))}`,
      ],
    );
  }

  function bars(figure, caption, spoken, columns, [from, to]) {
    const room = Math.max(0, LEAST_COLUMNS - columns.length);
    const most = Math.max(1, ...columns.map((column) => column.value));
    const drawn = columns.map((bar, at) => {
      const height = bar.value ? Math.max(2, (bar.value / most) * HEIGHT) : 0;
      const bad = bar.bad ? Math.max(2, (bar.bad / most) * HEIGHT) : 0;
      const column = svg(
        "g",
        bar.pick && bar.value
          ? { class: "column picks", role: "button", tabindex: "-1", "aria-label": bar.title }
          : { class: "column" },
        svg("title", {}, bar.title),
        svg("rect", { class: "room", x: at, y: 0, width: 1, height: HEIGHT }),
        svg("rect", { class: "all", x: at + 0.1, y: HEIGHT - height, width: 0.8, height }),
        svg("rect", { class: "bad", x: at + 0.1, y: HEIGHT - bad, width: 0.8, height: bad }),
      );
      if (bar.pick && bar.value) column.addEventListener("click", bar.pick);
      return column;
    });
    const picks = drawn.filter((column) => column.classList.contains("picks"));
    picks.at(-1)?.setAttribute("tabindex", "0");
    figure.replaceChildren(
      el("figcaption", {}, caption),
      svg(
        "svg",
        {
          viewBox: `0 0 ${columns.length + room} ${HEIGHT}`,
          preserveAspectRatio: "none",
          role: picks.length ? "group" : "img",
          "aria-label": `${caption[0]}: ${spoken}`,
          onkeydown: (event) => walk(event, picks),
        },
        drawn,
      ),
      el("div", { class: "ends" }, el("span", {}, from), el("span", {}, to)),
    );
  }

  return { element, draw, reserve };
}

/** One bar is in the order of the Tab key; arrows go to the others, Enter picks. */
function walk(event, picks) {
  const at = picks.indexOf(event.target);
  if (at < 0) return;
  const steps = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: picks.length - 1 };
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    picks[at].dispatchEvent(new MouseEvent("click", { bubbles: true }));
  } else if (event.key in steps) {
    event.preventDefault();
    const to = picks[Math.max(0, Math.min(steps[event.key], picks.length - 1))];
    picks[at].setAttribute("tabindex", "-1");
    to.setAttribute("tabindex", "0");
    to.focus();
  }
}
