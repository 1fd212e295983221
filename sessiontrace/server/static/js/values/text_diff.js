// The difference of two texts, by words, or by lines where they are long. Pure: no element is made.

const WORDS_MAX = 6_000; // of one text; longer ones are compared by lines
const EDITS_MAX = 1_000; // beyond it the texts have so little in common that one replaces the other

const words = (text) => text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];
const lines = (text) => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

/**
 * What both texts have and what only one has, in order.
 * @param {string} before
 * @param {string} after
 * @returns {{kind: "same" | "removed" | "added", text: string}[]}
 */
export function textDiff(before, after) {
  let [left, right] = [words(before), words(after)];
  if (left.length > WORDS_MAX || right.length > WORDS_MAX)
    [left, right] = [lines(before), lines(after)];
  let start = 0;
  const shorter = Math.min(left.length, right.length);
  while (start < shorter && left[start] === right[start]) start += 1;
  let end = 0;
  while (end < shorter - start && left[left.length - 1 - end] === right[right.length - 1 - end])
    end += 1;
  const parts = [];
  push(parts, "same", left.slice(0, start));
  for (const [kind, token] of edits(
    left.slice(start, left.length - end),
    right.slice(start, right.length - end),
  ))
    push(parts, kind, [token]);
  push(parts, "same", left.slice(left.length - end));
  return parts;
}

function push(parts, kind, tokens) {
  if (!tokens.length) return;
  const text = tokens.join("");
  const last = parts.at(-1);
  if (last?.kind === kind) last.text += text;
  else parts.push({ kind, text });
}

/** Myers' algorithm: the shortest way from the one list to the other. */
function edits(left, right) {
  const most = Math.min(left.length + right.length, EDITS_MAX);
  const middle = most + 1; // of the array: the line x = y
  const furthest = new Int32Array(2 * most + 3);
  const trace = [];
  for (let count = 0; count <= most; count += 1) {
    trace.push(furthest.slice());
    for (let line = -count; line <= count; line += 2) {
      const at = middle + line;
      let x = goesDown(furthest, at, line, count) ? furthest[at + 1] : furthest[at - 1] + 1;
      while (x < left.length && x - line < right.length && left[x] === right[x - line]) x += 1;
      furthest[at] = x;
      if (x >= left.length && x - line >= right.length) return way(left, right, trace, middle);
    }
  }
  return [...left.map((token) => ["removed", token]), ...right.map((token) => ["added", token])];
}

const goesDown = (furthest, at, line, count) =>
  line === -count || (line !== count && furthest[at - 1] < furthest[at + 1]);

function way(left, right, trace, middle) {
  const steps = [];
  let [x, y] = [left.length, right.length];
  for (let count = trace.length - 1; count >= 0; count -= 1) {
    const furthest = trace[count];
    const line = x - y;
    const down = goesDown(furthest, middle + line, line, count);
    const from = down ? line + 1 : line - 1;
    const fromX = count ? furthest[middle + from] : 0;
    const fromY = count ? fromX - from : 0;
    while (x > fromX && y > fromY) {
      x -= 1;
      y -= 1;
      steps.push(["same", left[x]]);
    }
    if (count && down) steps.push(["added", right[--y]]);
    else if (count) steps.push(["removed", left[--x]]);
  }
  return steps.reverse();
}
