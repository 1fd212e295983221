// Numbers and times as people read them.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ago,
  amount,
  bytes,
  cost,
  dayName,
  duration,
  money,
  score,
} from "../../../../sessiontrace/server/static/js/values/format.js";

test("a duration has the unit that a reader expects at its size", () => {
  const cases = [
    [null, "–"],
    [0, "0.0 ms"],
    [0.0004, "0.4 µs"],
    [0.25, "250 µs"],
    [0.9994, "999 µs"],
    [0.9996, "1.0 ms"],
    [9.94, "9.9 ms"],
    [9.96, "10 ms"],
    [999.4, "999 ms"],
    [999.6, "1.00 s"],
    [9994, "9.99 s"],
    [59_940, "59.9 s"],
    [59_960, "1 min 00 s"],
    [3_599_000, "59 min 59 s"],
    [3_600_000, "1 h 00 min"],
    [172_799_000, "2 days"],
  ];
  for (const [ms, text] of cases) assert.equal(duration(ms), text);
});

test("small amounts of money keep two significant digits", () => {
  assert.equal(money(0), "–");
  assert.equal(money(0.000123), "$0.00012");
  assert.equal(money(0.01), "$0.01");
  assert.equal(money(12.345), "$12.35");
  assert.equal(money(4420.04), "$4,420.04");
});

test("calls without a price are not shown as free", () => {
  assert.equal(cost({ cost: 0, unpriced: 0, tokens: 0 }), null);
  assert.equal(cost({ cost: 0, unpriced: 0, tokens: 7 }), "$0");
  assert.equal(cost({ cost: 0, unpriced: 2, tokens: 7 }), "unpriced");
  assert.equal(cost({ cost: 0, unpriced: true, tokens: 7 }), "unpriced");
  assert.equal(cost({ cost: 0.42, unpriced: 0, tokens: 7 }), "$0.42");
  assert.equal(cost({ cost: 0.42, unpriced: 2, tokens: 7 }), "$0.42 + 2 unpriced");
});

test("a count of one is singular", () => {
  assert.equal(amount(1, "step"), "1 step");
  assert.equal(amount(2, "step"), "2 steps");
  assert.equal(amount(2, "entry", "entries"), "2 entries");
});

test("sizes have one decimal only where it says something", () => {
  assert.equal(bytes(999), "999 B");
  assert.equal(bytes(1500), "1.5 kB");
  assert.equal(bytes(15_000), "15 kB");
  assert.equal(bytes(2_500_000), "2.5 MB");
});

test("a score has at most three decimals", () => {
  assert.equal(score(2 / 3), "0.667");
  assert.equal(score(1), "1");
});

test("recent moments are relative, and days are counted from midnight", () => {
  const now = new Date(2026, 10, 28, 0, 30).getTime();
  assert.equal(ago(now - 2_000, now), "just now");
  assert.equal(ago(now - 30_000, now), "30 s ago");
  assert.equal(ago(now - 120_000, now), "2 min ago");
  assert.equal(dayName(now - 60_000, now), "Today");
  assert.equal(dayName(now - 3_600_000, now), "Yesterday");
});
