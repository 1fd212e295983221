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

// Depth first, without folded subtrees. Each row is {node, depth, guides}; `guides` says for each
// level whether its line continues below.
export function rows(root, folded) {
  const visible = [];
  const ahead = [{ node: root, depth: 0, guides: [] }];
  while (ahead.length) {
    const row = ahead.pop();
    visible.push(row);
    if (folded.has(row.node.id)) continue;
    const below = row.node.children;
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
  let from = session.start_time;
  let to = Math.max(session.end_time, from + session.duration);
  for (const event of events) {
    from = Math.min(from, event.start_time);
    to = Math.max(to, event.end_time ?? event.start_time);
  }
  return { from, to: Math.max(to, from + 1) };
}

const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5,
  36e5, 72e5, 144e5, 216e5, 432e5, 864e5,
];

// The distance of ticks in ms for about `wanted` of them.
export function tickStep(length, wanted) {
  return (
    STEPS.find((step) => length / step <= wanted) ?? Math.ceil(length / wanted / 864e5) * 864e5
  );
}
