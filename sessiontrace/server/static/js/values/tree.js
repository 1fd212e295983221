// Steps as a tree, and a tree as its visible rows. Pure: no element is made here.
//
// Every step is shown once: a step whose parent is missing, or is its own descendant, is placed under
// the session and marked as lost.

export function grow(session, events) {
  const root = {
    id: session.session_id,
    event: null,
    type: "session",
    children: [],
    depth: 0,
    lost: false,
  };
  const nodes = new Map();
  for (const event of events) {
    nodes.set(event.event_id, {
      id: event.event_id,
      event,
      type: event.turn ? "turn" : event.type,
      children: [],
      depth: 1,
      lost: false,
    });
  }
  for (const node of nodes.values()) {
    const parent = nodes.get(node.event.parent_id);
    if (parent && !isBelow(node, parent, nodes)) parent.children.push(node);
    else {
      node.lost = node.event.parent_id !== null && node.event.parent_id !== session.session_id;
      root.children.push(node);
    }
  }
  return { root, nodes };
}

function isBelow(node, parent, nodes) {
  const seen = new Set();
  for (let above = parent; above && !seen.has(above); above = nodes.get(above.event.parent_id)) {
    if (above === node) return true;
    seen.add(above);
  }
  return false;
}

/** When a session or a step started, in Unix ms with a fraction. */
export const startOf = ({ start_time: start, start_nanos: nanos }) => start + (nanos ?? 0) / 1e6;

/** When it ended; null while it is open. Durations are finer than ends. */
export function endOf(step) {
  const { duration, end_time: end } = step;
  if (duration === null || duration === undefined || end === null) return end ?? null;
  const exact = startOf(step) + duration;
  return Math.abs(exact - end) < 2 ? exact : Math.max(exact, end);
}

export const isFailed = (node) => Boolean(node.event) && node.event.error !== null;

/** The steps that a condition selects, and the steps above them, by their ids. */
export function withAbove(root, condition) {
  const kept = new Set();
  const path = [];
  for (const { node, depth } of rows(root, new Set())) {
    path.length = depth;
    path.push(node.id);
    if (condition(node)) for (const id of path) kept.add(id);
  }
  return kept;
}

/** The ids of the steps above one, from the session down. */
export function above(root, id) {
  const path = [];
  for (const { node, depth } of rows(root, new Set())) {
    path.length = depth;
    if (node.id === id) return path;
    path.push(node.id);
  }
  return [];
}

/**
 * Tokens and cost of every step by its id: its own, or those of the steps below where it has none.
 * @returns {Map<string, {tokens: number, cost: number, unpriced: number, own: boolean}>}
 */
export function usages(root) {
  const all = new Map();
  for (const { node } of rows(root, new Set()).reverse()) {
    const { tokens = 0, cost = 0, unpriced = false } = node.event ?? {};
    const own = tokens > 0 || cost > 0;
    const sum = { tokens, cost, unpriced: Number(unpriced), own };
    if (!own)
      for (const child of node.children) {
        const below = all.get(child.id);
        sum.tokens += below.tokens;
        sum.cost += below.cost;
        sum.unpriced += below.unpriced;
      }
    all.set(node.id, sum);
  }
  return all;
}

// Depth first, without folded subtrees. Each row is {node, depth, guides}; `guides` says for each
// level whether its line continues below.
// `kept`: only these steps, by their ids.
export function rows(root, folded, kept = null) {
  const visible = [];
  const ahead = [{ node: root, depth: 0, guides: [] }];
  while (ahead.length) {
    const row = ahead.pop();
    visible.push(row);
    if (folded.has(row.node.id)) continue;
    const below = kept
      ? row.node.children.filter((child) => kept.has(child.id))
      : row.node.children;
    for (let at = below.length - 1; at >= 0; at -= 1) {
      const goesOn = at < below.length - 1;
      ahead.push({
        node: below[at],
        depth: row.depth + 1,
        guides: row.depth ? [...row.guides, goesOn] : [goesOn],
      });
    }
  }
  return visible;
}

export function countBelow(node) {
  let total = 0;
  const ahead = [...node.children];
  while (ahead.length) {
    const next = ahead.pop();
    total += 1;
    ahead.push(...next.children);
  }
  return total;
}

// The common axis: from the first start to the last end, never empty.
export function extent(session, events) {
  let from = startOf(session);
  let to = Math.max(endOf(session), from);
  for (const event of events) {
    const start = startOf(event);
    from = Math.min(from, start);
    to = Math.max(to, endOf(event) ?? start);
  }
  return { from, to: to > from ? to : from + 1 };
}

const STEPS = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3,
  2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 144e5, 216e5, 432e5, 864e5,
];

// The distance of ticks in ms for about `wanted` of them.
export function tickStep(length, wanted) {
  return (
    STEPS.find((step) => length / step <= wanted) ?? Math.ceil(length / wanted / 864e5) * 864e5
  );
}
