// What a call repeats of the calls before it.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  callsBefore,
  messagesOf,
  repeated,
} from "../../../../sessiontrace/server/static/js/values/history.js";

const system = { role: "system", content: "Be brief." };
const user = (content) => ({ role: "user", content });
const call = (id, parent = "a") => ({ event_id: id, parent_id: parent, type: "model" });

test("a call repeats what both chats begin with", () => {
  const before = [system, user("a"), { role: "assistant", content: "b" }];
  assert.equal(repeated([...before, user("c")], before), 3);
  assert.equal(repeated([system, user("a"), user("x")], before), 2);
  assert.equal(repeated([user("a")], before), 0);
});

test("a system prompt alone is no history, and a call made again keeps its question", () => {
  assert.equal(repeated([system, user("b")], [system, user("a")]), 0);
  assert.equal(repeated([system, user("a")], [system, user("a")]), 1);
  assert.equal(repeated([], []), 0);
});

test("the call before is rather one of the same agent than the latest", () => {
  const tool = { event_id: "t", parent_id: "a", type: "tool" };
  const events = [call("1"), tool, call("2", "b"), call("3", "b"), call("4", "b"), call("5")];
  const ids = callsBefore(events, events[5]).map((event) => event.event_id);
  assert.deepEqual(ids, ["1", "4", "3"]);
  assert.deepEqual(callsBefore(events, events[0]), []);
});

test("a record without a chat has no messages", () => {
  for (const record of [{}, { inputs: { q: 1 } }, null]) assert.deepEqual(messagesOf(record), []);
  assert.deepEqual(messagesOf({ inputs: { messages: [system] } }), [system]);
});
