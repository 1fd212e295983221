// Two sessions side by side: the same steps meet, others are alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { align } from "../../../../sessiontrace/server/static/js/values/alignment.js";

const steps = (names) => [...names].map((name) => ({ depth: 1, type: "tool", event: { name } }));
const names = (pairs) =>
  pairs.map(([left, right]) => (left?.event.name ?? "-") + (right?.event.name ?? "-")).join(" ");

test("equal lists meet step by step", () => {
  assert.equal(names(align(steps("abc"), steps("abc"))), "aa bb cc");
});

test("a step of one side only is alone", () => {
  assert.equal(names(align(steps("abc"), steps("ac"))), "aa b- cc");
  assert.equal(names(align(steps("ac"), steps("abc"))), "aa -b cc");
});

test("the longest common sequence is found, not the first one", () => {
  assert.equal(names(align(steps("xabc"), steps("abcx"))), "x- aa bb cc -x");
});

test("depth and type count too", () => {
  const deeper = [{ depth: 2, type: "tool", event: { name: "a" } }];
  assert.equal(names(align(steps("a"), deeper)), "a- -a");
});

test("empty lists have no pairs", () => {
  assert.deepEqual(align([], []), []);
  assert.equal(names(align([], steps("a"))), "-a");
});
