// What the search field offers while one types.
import assert from "node:assert/strict";
import { test } from "node:test";
import { completions } from "../../../../sessiontrace/server/static/js/values/completions.js";

const known = {
  keys: [
    {
      name: "user",
      kind: "text",
      summary: "The user",
      example: "user:ada",
      suffix: "may",
      aliases: [],
    },
    {
      name: "until",
      kind: "time",
      summary: "Until",
      example: "until:1h",
      suffix: "no",
      aliases: [],
    },
    {
      name: "metadata",
      kind: "text",
      summary: "A value",
      example: "metadata.plan:x",
      suffix: "must",
      aliases: ["meta"],
    },
  ],
  values: {
    user: [
      ["ada", 3],
      ["ada lovelace", 1],
    ],
    "metadata.plan": [["enterprise", 2]],
    score: [["quality", 1]],
  },
};
const texts = (piece) => completions(piece, known).map((option) => option.text);

test("keys come first, then the values that there are", () => {
  assert.deepEqual(texts(""), ["user:", "until:", "metadata."]);
  assert.deepEqual(texts("u"), ["user:", "until:"]);
  assert.deepEqual(texts("-us"), ["-user:"]);
  assert.deepEqual(texts("meta"), ["metadata.", "metadata.plan:"]);
  assert.deepEqual(texts("metadata.pl"), ["metadata.plan:"]);
  assert.deepEqual(texts("user:ad"), ["user:ada", 'user:"ada lovelace"']);
  assert.deepEqual(texts('user:"ada l'), ['user:"ada lovelace"']);
  assert.deepEqual(texts("metadata.plan:e"), ["metadata.plan:enterprise"]);
  assert.deepEqual(texts("meta.plan:e"), ["meta.plan:enterprise"]);
  assert.deepEqual(texts("sc"), ["score.quality:"]);
  assert.deepEqual(texts("until:24"), ["until:24h"]);
});

test("what is complete or no filter is left alone", () => {
  assert.deepEqual(texts("user:nobody"), []);
  assert.deepEqual(texts("12:30"), []);
  assert.deepEqual(texts("colour:red"), []);
});
