import assert from "node:assert/strict";
import { test } from "node:test";
import {
  groupsOf,
  sessionPath,
  toolNames,
  turnNamed,
  turnsOf,
  userIn,
  userPath,
  viewOf,
  withPage,
} from "../../../../sessiontrace/server/static/js/values/thread.js";

const turn = (id, more = {}) => ({
  turn_id: id,
  start_time: 1_790_000_000_000,
  lines: [],
  tools: [],
  omitted: 0,
  ...more,
});
const line = (role, more = {}) => ({ role, text: role, step: "s", earlier: false, ...more });

test("an address names a view; a step alone means the steps", () => {
  assert.equal(viewOf("?view=thread", "turn"), "thread");
  assert.equal(viewOf("?view=tree", ""), "tree");
  assert.equal(viewOf("", "step"), "tree");
  assert.equal(viewOf("", ""), "");
  assert.equal(viewOf("?view=<script>", ""), "");
});

test("ids and users of any characters stay one part of an address", () => {
  assert.equal(sessionPath("a/b?", "tree", "x#y"), "/sessions/a%2Fb%3F?view=tree#x%23y");
  assert.equal(sessionPath("a"), "/sessions/a");
  assert.equal(userPath("../ada?#"), "/users/..%2Fada%3F%23");
});

test("a query names one user, or none", () => {
  const users = {
    "user:ada tag:vip": "ada",
    'user:"grace \\"h\\" hopper"': 'grace "h" hopper',
    "-user:ada": "",
    "user:ada,bob": "",
    "user:a*": "",
    "user:ada user:bob": "",
    ada: "",
    "user:": "",
  };
  for (const [query, user] of Object.entries(users)) assert.equal(userIn(query), user, query);
});

test("a page takes the place of what it was, and a turn is shown once", () => {
  let pages = withPage([], null, { turns: [turn("a"), turn("b")], next: "n" });
  pages = withPage(pages, "n", { turns: [turn("c")], next: null });
  pages = withPage(pages, "n", { turns: [turn("c", { omitted: 1 }), turn("d")], next: null });
  assert.deepEqual(
    turnsOf(pages).map((row) => [row.number, row.turn.turn_id, row.turn.omitted]),
    [
      [1, "a", 0],
      [2, "b", 0],
      [3, "c", 1],
      [4, "d", 0],
    ],
  );
});

test("a page that ends elsewhere now drops the pages behind it", () => {
  let pages = withPage([], null, { turns: [turn("a")], next: "n" });
  pages = withPage(pages, "n", { turns: [turn("b")], next: null });
  pages = withPage(pages, null, { turns: [turn("a"), turn("late")], next: "m" });
  assert.deepEqual(
    turnsOf(pages).map((row) => row.turn.turn_id),
    ["a", "late"],
  );
});

test("the first turn of a day says so", () => {
  const noon = new Date(2026, 8, 21, 12).getTime();
  const turns = [noon, noon + 1000, noon + 86_400_000].map((at, index) =>
    turn(String(index), { start_time: at }),
  );
  const rows = turnsOf([{ after: null, turns, next: null }]);
  assert.deepEqual(
    rows.map((row) => row.begins),
    [true, false, true],
  );
});

test("the tools stand before the last answer, and earlier messages are folded", () => {
  const kinds = (content) => groupsOf(turn("a", content)).map(({ kind }) => kind);
  const lines = [line("system"), line("user"), line("assistant"), line("assistant")];
  assert.deepEqual(kinds({ lines, tools: [{ name: "t" }] }), [
    "system",
    "said",
    "said",
    "tools",
    "said",
  ]);
  assert.deepEqual(kinds({ lines: [line("user")], tools: [{ name: "t" }] }), ["said", "tools"]);
  const earlier = [line("user", { earlier: true }), line("assistant", { earlier: true })];
  const groups = groupsOf(turn("a", { lines: [...earlier, line("user")] }));
  assert.deepEqual(
    groups.map(({ kind, lines: own }) => [kind, own.length]),
    [
      ["earlier", 2],
      ["said", 1],
    ],
  );
  assert.deepEqual(kinds({ omitted: 3, lines: [line("user")] }), ["earlier", "said"]);
});

test("a turn is found by its id, by a message's step and by a tool's", () => {
  const turns = [
    turn("a", { lines: [line("user", { step: "m" })], tools: [{ event_id: "t" }] }),
    turn("b"),
  ];
  assert.deepEqual(
    ["a", "m", "t", "b", "x"].map((id) => turnNamed(turns, id)?.turn_id),
    ["a", "a", "a", "b", undefined],
  );
});

test("tools are named once, with how often", () => {
  const names = ["look", "fetch", "look"].map((name) => ({ name }));
  assert.deepEqual(toolNames(names), ["look ×2", "fetch"]);
});
