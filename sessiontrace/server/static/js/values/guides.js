// The lines of the tree beside a row, as the background of one element. Pure.

const LINE = "linear-gradient(var(--line) 0 0)";
const at = (level) => `calc(var(--indent) * ${level} + 6px)`;

/**
 * @param {boolean[]} guides for each level, whether its line continues below
 * @returns {string} a CSS background; the width of a level is --indent
 */
export function guideLines(guides) {
  const last = guides.length - 1;
  const lines = guides.flatMap((goesOn, level) => {
    if (level < last) return goesOn ? [`${LINE} ${at(level)} 0 / 1px 100%`] : [];
    const down = `${LINE} ${at(level)} 0 / 1px ${goesOn ? "100%" : "50%"}`;
    return [down, `${LINE} ${at(level)} 50% / calc(var(--indent) - 6px + 3px) 1px`];
  });
  return lines.map((line) => `${line} no-repeat`).join(", ");
}

const WIDEST = 13;
const NARROWEST = 5;
const NAME = [140, 230]; // pixels that a row has for its name, type and marks: in a narrow column, a wide one

/**
 * The width of a level, the space for what follows the levels, and how far the names can be scrolled
 * sideways, in pixels.
 * @param {number} depth of the deepest row @param {number} width of the column of names
 */
export function sideways(depth, width) {
  const name = Math.max(NAME[0], Math.min(NAME[1], width - 60));
  const fitting = Math.floor((width - name) / Math.max(1, depth));
  const indent = Math.max(NARROWEST, Math.min(WIDEST, fitting));
  return { indent, name, beyond: Math.max(0, depth * indent + name - width) };
}
