// The column of names, scrolled sideways where a tree is deeper than the column is wide.

import { el } from "../elements.js";
import { sideways } from "../values/guides.js";

/**
 * @param {HTMLElement} element that has the properties --indent and --shift
 * @param {HTMLElement} list whose rows have the names
 * @param {() => number} widthOf the column
 */
export function nameSlider(element, list, widthOf) {
  const slide = el("div");
  const slider = el(
    "div",
    { class: "slider", tabindex: "0", role: "group", "aria-label": "Scroll the names sideways" },
    slide,
  );
  let depth = 0; // of the deepest row
  const shift = () => element.style.setProperty("--shift", `${slider.scrollLeft}px`);
  slider.addEventListener("scroll", shift);
  list.addEventListener("wheel", turnWheel, { passive: false });
  list.addEventListener("pointerdown", touch);

  /** The rows or the width have changed. */
  function fit(deepest = depth) {
    depth = deepest;
    const width = widthOf();
    if (!width) return;
    const { indent, name, beyond } = sideways(depth, width);
    element.style.setProperty("--indent", `${indent}px`);
    element.style.setProperty("--name-space", `${name}px`);
    slider.hidden = beyond === 0;
    slide.style.width = `${width + beyond}px`;
    shift();
  }

  function turnWheel(event) {
    const across = Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : 0;
    const by = across || (event.shiftKey ? event.deltaY : 0);
    if (!by || slider.hidden || !event.target.closest(".who")) return;
    event.preventDefault();
    slider.scrollLeft += by;
  }

  function touch(event) {
    if (event.pointerType !== "touch" || !event.target.closest(".who")) return;
    const from = event.clientX + slider.scrollLeft;
    const ended = new AbortController();
    const { signal } = ended;
    const move = ({ clientX }) => {
      slider.scrollLeft = from - clientX;
    };
    list.addEventListener("pointermove", move, { signal });
    for (const end of ["pointerup", "pointercancel"])
      list.addEventListener(end, () => ended.abort(), { signal });
  }

  return {
    slider,
    fit,
    /** Scroll until the name of a row of this depth is to be seen. */
    show(rowDepth) {
      if (slider.hidden) return;
      const width = widthOf();
      const { indent, name } = sideways(depth, width);
      const at = rowDepth * indent;
      const last = at + Math.min(name, width - 24) - width; // the least that shows all of the name
      if (at < slider.scrollLeft || last > slider.scrollLeft) slider.scrollLeft = last + 24;
      shift();
    },
  };
}
