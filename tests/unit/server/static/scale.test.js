// Scales of the dashboard's charts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ticks, timeTicks } from "../../../../sessiontrace/server/static/js/dashboard/scale.js";
import { duration } from "../../../../sessiontrace/server/static/js/values/format.js";

test("ticks are round and reach the greatest value", () => {
  assert.deepEqual(ticks(7), [0, 2, 4, 6, 8]);
  assert.deepEqual(ticks(0), [0, 1]);
  assert.deepEqual(timeTicks(900), [0, 250, 500, 750, 1000]);
});

test("times above a minute are counted in minutes, hours and days", () => {
  const texts = (most) => timeTicks(most).slice(1).map(duration);
  assert.deepEqual(texts(50_000), ["15.0 s", "30.0 s", "45.0 s", "1 min 00 s"]);
  assert.deepEqual(texts(7 * 60_000), ["2 min 00 s", "4 min 00 s", "6 min 00 s", "8 min 00 s"]);
  assert.deepEqual(texts(10 * 3_600_000), [
    "3 h 00 min",
    "6 h 00 min",
    "9 h 00 min",
    "12 h 00 min",
  ]);
  assert.deepEqual(texts(71 * 3_600_000), ["24 h 00 min", "2 days", "3 days"]);
  assert.deepEqual(texts(30 * 86_400_000), ["10 days", "20 days", "30 days"]);
  for (let most = 1; most < 1e10; most *= 1.37) {
    const scale = timeTicks(most);
    assert.ok(scale.at(-1) >= most && scale.length >= 2 && scale.length <= 5, String(most));
  }
});
