// Two lists of steps, lined up. Pure: no element is made here.

/**
 * Pairs of steps by their longest common subsequence; steps are the same when depth, type and name
 * are. A step of one side only is paired with null.
 * @template T
 * @param {T[]} a
 * @param {T[]} b
 * @returns {[T | null, T | null][]}
 */
export function align(a, b) {
  const same = (left, right) =>
    left.depth === right.depth && left.type === right.type && left.event.name === right.event.name;
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = same(a[i], b[j])
        ? lengths[(i + 1) * width + j + 1] + 1
        : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  /** @type {[T | null, T | null][]} */
  const pairs = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && same(a[i], b[j])) pairs.push([a[i++], b[j++]]);
    else if (
      j >= b.length ||
      (i < a.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])
    )
      pairs.push([a[i++], null]);
    else pairs.push([null, b[j++]]);
  }
  return pairs;
}
