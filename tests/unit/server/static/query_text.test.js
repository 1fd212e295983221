// The text in the search field: its pieces, and what a click or a completion writes into it.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  parts,
  pieceAt,
  pieces,
  quoted,
  termOf,
  withTerm,
} from "../../../../sessiontrace/server/static/js/values/query_text.js";

test("spaces within quotes part nothing, also while the quote is open", () => {
  const texts = (query) => pieces(query).map((piece) => piece.text);
  assert.deepEqual(texts('user:ada  "free text" tag:"a b"'), [
    "user:ada",
    '"free text"',
    'tag:"a b"',
  ]);
  assert.deepEqual(texts('a user:"ada lo'), ["a", 'user:"ada lo']);
  assert.deepEqual(texts('"a \\" b" c'), ['"a \\" b"', "c"]);
});

test("the piece at the cursor is the one that is typed", () => {
  const query = "user:ada tag:v";
  assert.equal(pieceAt(query, 14).text, "tag:v");
  assert.equal(pieceAt(query, 8).text, "user:ada");
  assert.deepEqual(pieceAt(query, 0), { text: "", from: 0, to: 0 });
  assert.deepEqual(pieceAt("user:ada ", 9), { text: "", from: 9, to: 9 });
});

test("a piece has a sign, a key and a value", () => {
  assert.deepEqual(parts("-metadata.plan:ent"), {
    sign: "-",
    key: "metadata.plan",
    colon: true,
    operator: "",
    value: "ent",
  });
  assert.equal(parts("cost:>0.1").operator, ">");
  assert.equal(parts("us").key, "us");
  assert.equal(parts("us").colon, false);
  assert.equal(parts("").key, "");
});

test("a value is quoted where it is not a plain word", () => {
  assert.equal(quoted("ada"), "ada");
  assert.equal(quoted("ada lovelace"), '"ada lovelace"');
  assert.equal(quoted('a"b\\c'), '"a\\"b\\\\c"');
  for (const odd of ["-x", ">1", "1..2", "a,b", "a:b", "a*"]) assert.equal(quoted(odd), `"${odd}"`);
  assert.equal(termOf("metadata.my key", "x"), 'metadata."my key":x');
  assert.equal(termOf("metadata.a.b", "x"), "metadata.a.b:x");
});

test("a click on a value adds its term once, and takes its exclusion back", () => {
  assert.equal(withTerm("", "user:ada"), "user:ada");
  assert.equal(withTerm("late user:ada", "user:ada"), "late user:ada");
  assert.equal(withTerm("-user:ada late", "user:ada"), "late user:ada");
});
