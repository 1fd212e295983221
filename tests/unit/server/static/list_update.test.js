// The list is read again while it is shown: rows move up, arrive, and no longer fit.
import assert from "node:assert/strict";
import { test } from "node:test";
import { arrivals, merged } from "../../../../sessiontrace/server/static/js/values/list_update.js";

const rowsOf = (text) => [...text].map((id) => ({ session_id: id }));
const after = (rows, page, next = "n") => {
  const result = merged(rowsOf(rows), { sessions: rowsOf(page), next: "p" }, next);
  return [result.rows.map((row) => row.session_id).join(""), result.next];
};

test("a row that moves up pushes the last one of its page down", () => {
  assert.deepEqual(after("ABCDE", "EAB"), ["EABCD", "n"]);
  assert.deepEqual(after("ABCDE", "CAB"), ["CABDE", "n"]);
});

test("new rows push as many down", () => {
  assert.deepEqual(after("ABCDE", "XYA"), ["XYABCDE", "n"]);
  assert.deepEqual(after("ABC", "XAB"), ["XABC", "n"]);
});

test("a row that fits no more is dropped", () => {
  assert.deepEqual(after("ABCDE", "ACD"), ["ACDE", "n"]);
});

test("a page that shares nothing with the rows replaces them", () => {
  assert.deepEqual(after("ABC", "XYZ"), ["XYZ", "p"]);
  const whole = merged(rowsOf("ABC"), { sessions: rowsOf("B"), next: null }, "n");
  assert.deepEqual(whole, { rows: rowsOf("B"), next: null });
});

test("arrivals are what no row shows", () => {
  assert.deepEqual(arrivals(rowsOf("AB"), { sessions: rowsOf("XAB") }), rowsOf("X"));
});
