// Which texts the server is asked to read as markdown, and in which portions.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  batches,
  isMarkdown,
  mayHoldMarkdown,
} from "../../../../sessiontrace/server/static/js/values/markdown_text.js";

test("a plain text costs no request", () => {
  for (const text of ["Where is my order?", "snake_case_name", "2 * 3 * 4 = 24", "a\nb", "5 > 3"])
    assert.equal(mayHoldMarkdown(text), false, text);
});

test("any sign of markdown is one", () => {
  for (const text of [
    "# Title",
    "say **no**",
    "an `x` here",
    "[a](https://b.test)",
    "hello\n- a\n- b",
    "1. first",
    "> quote",
    "```\ncode\n```",
    "| a | b |",
    "an _em_ word",
  ])
    assert.equal(mayHoldMarkdown(text), true, text);
});

test("a value of a tool is a page of markdown only if it looks like one", () => {
  assert.equal(isMarkdown("# Title\n\nText"), true);
  assert.equal(isMarkdown("| a |\n|---|\n| 1 |"), true);
  for (const text of ["# comment", "- a\n- b", "line\nline", "a * b\nc * d"])
    assert.equal(isMarkdown(text), false, text);
});

test("no request has more than the server takes, and each text is asked for once", () => {
  const texts = Array.from({ length: 450 }, (_, at) => `${at}`.padEnd(at % 100 === 0 ? 50_000 : 5));
  const all = batches(texts);
  assert.deepEqual(all.flat(), texts);
  for (const batch of all) {
    assert.ok(batch.length <= 200);
    assert.ok(batch.join("").length <= 200_000);
  }
  assert.deepEqual(batches([]), []);
});
