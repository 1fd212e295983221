// Steps become a tree that shows each of them once, whatever their parents say.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  above,
  countBelow,
  endOf,
  extent,
  grow,
  isFailed,
  rows,
  startOf,
  tickStep,
  usages,
  withAbove,
} from "../../../../sessiontrace/server/static/js/values/tree.js";

const session = { session_id: "s", start_time: 1000, end_time: 2000, duration: 1000 };
const step = (id, parent = "s", more = {}) => ({
  event_id: id,
  parent_id: parent,
  type: "chain",
  start_time: 1000,
  end_time: 1500,
  error: null,
  ...more,
});

test("children hang below their parents, whatever order they arrive in", () => {
  const { root } = grow(session, [step("b", "a"), step("a"), step("c", "b")]);
  const visible = rows(root, new Set()).map(({ node, depth }) => [node.id, depth]);
  assert.deepEqual(visible, [
    ["s", 0],
    ["a", 1],
    ["b", 2],
    ["c", 3],
  ]);
  assert.equal(countBelow(root), 3);
});

test("a step whose parent is missing is shown under the session and marked", () => {
  const { root, nodes } = grow(session, [step("a", "gone")]);
  assert.deepEqual(
    root.children.map((node) => node.id),
    ["a"],
  );
  assert.equal(nodes.get("a").lost, true);
});

test("steps that are each other's parents are shown once and end", () => {
  const { root } = grow(session, [step("a", "b"), step("b", "a"), step("c", "c")]);
  const ids = rows(root, new Set()).map(({ node }) => node.id);
  assert.deepEqual(ids.sort(), ["a", "b", "c", "s"]);
});

test("a folded step hides what is below it", () => {
  const { root } = grow(session, [step("a"), step("b", "a"), step("c")]);
  const ids = rows(root, new Set(["a"])).map(({ node }) => node.id);
  assert.deepEqual(ids, ["s", "a", "c"]);
});

test("the guides say for each level whether its line continues", () => {
  const { root } = grow(session, [step("a"), step("b", "a"), step("c")]);
  const guides = Object.fromEntries(
    rows(root, new Set()).map(({ node, guides: lines }) => [node.id, lines]),
  );
  assert.deepEqual(guides, { s: [], a: [true], b: [true, false], c: [false] });
});

test("the axis spans everything and is never empty", () => {
  const steps = [step("a", "s", { start_time: 900 }), step("b", "s", { end_time: 5000 })];
  assert.deepEqual(extent(session, steps), { from: 900, to: 5000 });
  const empty = { ...session, end_time: 1000, duration: 0 };
  assert.deepEqual(extent(empty, []), { from: 1000, to: 1001 });
});

test("ticks are round and not more than wanted", () => {
  assert.equal(tickStep(1000, 10), 100);
  assert.equal(tickStep(60_000, 7), 10_000);
  assert.equal(tickStep(40 * 864e5, 4), 10 * 864e5);
});

test("starts and ends have the nanoseconds that a record has", () => {
  const one = step("a", "s", {
    start_time: 1000,
    start_nanos: 250_000,
    end_time: 1000,
    duration: 0.5,
  });
  assert.equal(startOf(one), 1000.25);
  assert.equal(endOf(one), 1000.75);
  assert.equal(endOf({ ...one, duration: null, end_time: null }), null);
  assert.equal(endOf({ ...one, end_time: 5000 }), 5000);
  const session = { ...one, session_id: "s" };
  assert.deepEqual(extent(session, [one]), { from: 1000.25, to: 1000.75 });
  assert.equal(tickStep(0.5, 5), 0.1);
});

test("errors only shows failed steps and those above them", () => {
  const bad = { error: "no" };
  const { root } = grow(session, [step("a"), step("b", "a", bad), step("c"), step("d", "c")]);
  const kept = withAbove(root, isFailed);
  assert.deepEqual([...kept], ["s", "a", "b"]);
  const ids = rows(root, new Set(), kept).map(({ node }) => node.id);
  assert.deepEqual(ids, ["s", "a", "b"]);
  assert.deepEqual(above(root, "d"), ["s", "c"]);
  assert.deepEqual(above(root, "gone"), []);
});

test("a step without tokens has those of the steps below it, each counted once", () => {
  const agent = { tokens: 9, cost: 0.5 };
  const { root } = grow(session, [
    step("a"),
    step("b", "a", agent),
    step("c", "b", agent),
    step("d", "a", { tokens: 1, cost: 0, unpriced: true }),
  ]);
  const all = usages(root);
  assert.deepEqual(all.get("a"), { tokens: 10, cost: 0.5, unpriced: 1, own: false });
  assert.deepEqual(all.get("b"), { tokens: 9, cost: 0.5, unpriced: 0, own: true });
  assert.deepEqual(all.get("s"), all.get("a"));
});
