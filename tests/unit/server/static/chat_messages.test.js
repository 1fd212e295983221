// Which part of a record is a conversation.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  parseJson,
  splitMessages,
} from "../../../../sessiontrace/server/static/js/values/chat_messages.js";

const user = { role: "user", content: "hello" };

test("a history is a conversation, and its neighbours stay", () => {
  assert.deepEqual(splitMessages({ chat_history: [user], seed: 1 }), {
    messages: [user],
    rest: { seed: 1 },
  });
  assert.deepEqual(splitMessages({ messages: [user] }), { messages: [user], rest: null });
});

test("a single message is a conversation of one", () => {
  const answer = { role: "assistant", content: "hi", finish: "stop" };
  assert.deepEqual(splitMessages(answer), { messages: [answer], rest: { finish: "stop" } });
});

test("several choices are a conversation, and what is beside their messages stays", () => {
  const answer = { role: "assistant", content: "hi" };
  assert.deepEqual(splitMessages({ choices: [answer, answer] }).messages, [answer, answer]);
  assert.deepEqual(splitMessages({ choices: [{ index: 0, message: answer }] }), {
    messages: [answer],
    rest: { choices: [{ index: 0 }] },
  });
});

test("the items of OpenAI's Responses API are a conversation", () => {
  const { messages } = splitMessages({
    output: [
      { type: "reasoning", summary: [{ type: "summary_text", text: "Hm." }] },
      { type: "function_call", call_id: "c1", name: "weather", arguments: "{}" },
      { type: "function_call_output", call_id: "c1", output: "rain" },
      { type: "message", role: "assistant", content: [{ type: "output_text", text: "Rain." }] },
    ],
  });
  assert.deepEqual(
    messages.map((message) => message.role),
    ["assistant", "assistant", "tool", "assistant"],
  );
  assert.equal(messages[1].tool_calls[0].function.name, "weather");
});

test("a list in which anything is not a message is left as it is", () => {
  const field = { chat_history: [user, "hello"] };
  assert.deepEqual(splitMessages(field), { messages: null, rest: field });
});

test("only objects and lists are read as JSON", () => {
  assert.deepEqual(parseJson(' {"a": 1}'), { a: 1 });
  assert.equal(parseJson("42"), null);
  assert.equal(parseJson("{broken"), null);
});
