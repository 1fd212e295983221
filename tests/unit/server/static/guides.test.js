// The lines of the tree, and how it fits its column.
import assert from "node:assert/strict";
import { test } from "node:test";
import { guideLines, sideways } from "../../../../sessiontrace/server/static/js/values/guides.js";

test("a level has a line where steps follow on it, and the last one a branch", () => {
  assert.equal(guideLines([true, false]).match(/linear-gradient/g).length, 3);
  assert.equal(guideLines([false, true]).match(/linear-gradient/g).length, 2);
  assert.match(guideLines([false, true]), /100% no-repeat/);
  assert.doesNotMatch(guideLines([false, false]), /100%/);
});

test("levels are narrower where the tree is deep, and it scrolls where they cannot be", () => {
  assert.deepEqual(sideways(3, 420), { indent: 13, name: 230, beyond: 0 });
  assert.deepEqual(sideways(20, 420), { indent: 9, name: 230, beyond: 0 });
  assert.deepEqual(sideways(60, 420), { indent: 5, name: 230, beyond: 60 * 5 + 230 - 420 });
  assert.equal(sideways(0, 420).beyond, 0);
});

test("a narrow column has less for a name rather than scrolling a shallow tree", () => {
  assert.deepEqual(sideways(3, 220), { indent: 13, name: 160, beyond: 0 });
  assert.deepEqual(sideways(3, 158), { indent: 6, name: 140, beyond: 0 });
});
