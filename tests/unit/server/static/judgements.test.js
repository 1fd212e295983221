// Judgements by kind and name, the last one of each and those before it; and fields as one text.
import assert from "node:assert/strict";
import { test } from "node:test";
import { comparedText } from "../../../../sessiontrace/server/static/js/values/compared_text.js";
import {
  authorText,
  counts,
  grouped,
  typedValue,
  valueText,
} from "../../../../sessiontrace/server/static/js/values/judgements.js";

const judgement = (kind, name, value, at, event = "e") => ({
  id: `${at}`,
  event_id: event,
  kind,
  name,
  value,
  comment: null,
  author: null,
  at,
  source: "hand",
  key: null,
});

test("the last judgement of a name counts, and the ones before it are its history", () => {
  const all = [
    judgement("score", "quality", 1, 1),
    judgement("score", "quality", 0, 2, "other"),
    judgement("score", "quality", null, 3),
    judgement("label", "wrong", true, 4),
    judgement("unknown", "x", 1, 5),
  ];
  const groups = grouped(all, "e");
  assert.equal(groups.score.length, 1);
  assert.equal(counts(groups.score[0]), false);
  assert.deepEqual(
    groups.score[0].history.map((each) => each.value),
    [1],
  );
  assert.deepEqual(
    groups.label.map((group) => group.name),
    ["wrong"],
  );
});

test("values and authors read as people write them", () => {
  assert.deepEqual([1, 0.12345, true, null, "good"].map(valueText), [
    "1",
    "0.123",
    "true",
    "removed",
    "good",
  ]);
  assert.deepEqual([" 0.5 ", "good", "1e3"].map(typedValue), [0.5, "good", 1000]);
  const by = (author, key, source) => authorText({ author, key, source });
  assert.equal(by("ada", "shop", "hand"), "ada (key shop)");
  assert.equal(by("shop", "shop", "hand"), "shop");
  assert.equal(by(null, null, "update"), "sent by a program");
});

test("a chat, a text and an object with texts are compared as text, numbers are not", () => {
  assert.equal(comparedText({ role: "assistant", content: "Paris" }), "Paris");
  const chat = [
    { role: "user", content: "Which?" },
    { role: "assistant", content: "Paris" },
  ];
  assert.equal(comparedText({ messages: chat }), "user: Which?\n\nassistant: Paris");
  assert.equal(comparedText({ answer: "Paris", n: 1 }), "answer: Paris\nn: 1");
  assert.equal(comparedText({ n: 1 }), null);
  assert.equal(comparedText(undefined), null);
});
