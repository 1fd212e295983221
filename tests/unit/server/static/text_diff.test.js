// The difference of two answers: what goes and what comes, and nothing is lost on the way.
import assert from "node:assert/strict";
import { test } from "node:test";
import { textDiff } from "../../../../sessiontrace/server/static/js/values/text_diff.js";

const side = (parts, kind) =>
  parts
    .filter((part) => part.kind === "same" || part.kind === kind)
    .map((part) => part.text)
    .join("");

test("a changed word is removed and added, the rest stays", () => {
  assert.deepEqual(textDiff("Paris is the capital", "Lyon is the capital"), [
    { kind: "removed", text: "Paris" },
    { kind: "added", text: "Lyon" },
    { kind: "same", text: " is the capital" },
  ]);
  assert.deepEqual(textDiff("same", "same"), [{ kind: "same", text: "same" }]);
  assert.deepEqual(textDiff("", ""), []);
});

test("both texts can be read from the parts, whatever they are", () => {
  let seed = 7;
  const random = (most) => {
    seed = (seed * 16807) % 2147483647;
    return seed % most;
  };
  for (let round = 0; round < 200; round += 1) {
    const text = () => Array.from({ length: random(30) }, () => "ab \n"[random(4)]).join("");
    const [before, after] = [text(), text()];
    const parts = textDiff(before, after);
    assert.equal(side(parts, "removed"), before);
    assert.equal(side(parts, "added"), after);
  }
});

test("long texts that have nothing in common take no time", () => {
  const before = Array.from({ length: 20_000 }, (_, at) => `left ${at}`).join("\n");
  const after = Array.from({ length: 20_000 }, (_, at) => `right ${at}`).join("\n");
  const parts = textDiff(before, after);
  assert.equal(side(parts, "removed"), before);
  assert.equal(side(parts, "added"), after);
});
