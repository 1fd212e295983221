// A line between two columns that can be dragged, or moved with the arrow keys. Its place is kept in
// this browser.

import { el } from "./elements.js";

const STEP = 24; // pixels for a press of an arrow key

/**
 * @param {{key: string, label: string, controls: () => HTMLElement, property: string, sign?: number,
 *   width: () => number, range: () => [number, number], moved?: () => void}} options
 * key: of the place in the browser's storage
 * controls: the element that has the property with the width
 * sign: 1 where the column is left of the line, -1 where it is right of it
 * width: the column's width as it is, in pixels
 * range: the least and the greatest width in pixels
 */
export function splitter({ key, label, controls, property, sign = 1, width, range, moved }) {
  const line = el("div", {
    class: "splitter",
    role: "separator",
    "aria-orientation": "vertical",
    "aria-label": label,
    tabindex: "0",
    title: "Drag, or double-click for the usual width",
  });
  let chosen = stored(key); // null: the usual width

  function show() {
    const [least, most] = range();
    line.setAttribute("aria-valuemin", String(Math.round(least)));
    line.setAttribute("aria-valuemax", String(Math.round(Math.max(least, most))));
    if (chosen === null) {
      controls().style.removeProperty(property);
      line.setAttribute("aria-valuenow", String(Math.round(width())));
      return;
    }
    const shown = Math.round(Math.max(least, Math.min(most, chosen)));
    controls().style.setProperty(property, `${shown}px`);
    line.setAttribute("aria-valuenow", String(shown));
  }

  function set(value) {
    const [least, most] = range();
    chosen = value === null ? null : Math.max(least, Math.min(most, value));
    store(key, chosen);
    show();
    moved?.();
  }

  line.addEventListener("pointerdown", (down) => {
    if (down.button !== 0) return;
    down.preventDefault();
    line.focus({ preventScroll: true });
    line.setPointerCapture(down.pointerId);
    const from = width();
    const move = (event) => set(from + sign * (event.clientX - down.clientX));
    line.addEventListener("pointermove", move);
    line.addEventListener(
      "lostpointercapture",
      () => line.removeEventListener("pointermove", move),
      {
        once: true,
      },
    );
  });
  line.addEventListener("dblclick", () => set(null));
  line.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
    if (by) set(width() + sign * by);
    else if (event.key === "Home") set(range()[0]);
    else if (event.key === "End") set(range()[1]);
    else return;
    event.preventDefault();
  });

  return { line, show };
}

function stored(key) {
  try {
    const width = Number(localStorage.getItem(key));
    return Number.isFinite(width) && width > 0 ? width : null;
  } catch {
    return null; // the browser forbids it
  }
}

function store(key, width) {
  try {
    if (width === null) localStorage.removeItem(key);
    else localStorage.setItem(key, String(Math.round(width)));
  } catch {
    // Until the page is left, then.
  }
}
