// Which part of a record is a conversation.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  splitMessages,
  toolDefinitions,
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

test("calls that a provider runs itself are calls, with their results", () => {
  const { messages } = splitMessages({
    output: [
      { type: "web_search_call", id: "w1", status: "completed", action: { query: "tea" } },
      { type: "mcp_call", id: "m1", name: "list", arguments: "{}", output: "nothing" },
      { type: "message", role: "assistant", content: [{ type: "output_text", text: "None." }] },
    ],
  });
  assert.deepEqual(messages[0].tool_calls[0].arguments, { action: { query: "tea" } });
  assert.deepEqual(
    messages[1].content.map((part) => part.type),
    ["tool_call", "tool_result"],
  );
});

test("contents and candidates of Gemini, and messages of LangChain, are a chat", () => {
  const model = { role: "model", parts: [{ text: "hi" }] };
  assert.deepEqual(splitMessages({ contents: [model] }).messages, [model]);
  assert.deepEqual(splitMessages({ candidates: [{ content: model }] }).messages, [model]);
  const [human, ai] = splitMessages({
    messages: [
      { type: "human", content: "q" },
      { type: "ai", content: "a" },
    ],
  }).messages;
  assert.deepEqual([human.role, ai.role], ["user", "assistant"]);
});

test("definitions of tools are flat, whatever the API", () => {
  const schema = { type: "object", properties: {} };
  for (const tools of [
    [{ type: "function", function: { name: "find", description: "Finds", parameters: schema } }],
    [{ type: "function", name: "find", description: "Finds", parameters: schema }],
    [{ name: "find", description: "Finds", input_schema: schema }],
    [{ functionDeclarations: [{ name: "find", description: "Finds", parameters: schema }] }],
    [{ toolSpec: { name: "find", description: "Finds", inputSchema: { json: schema } } }],
  ]) {
    const [{ name, description, schema: read }] = toolDefinitions(tools);
    assert.deepEqual([name, description, read], ["find", "Finds", schema]);
  }
  assert.equal(toolDefinitions([{ type: "web_search" }])[0].name, "web_search");
  for (const tools of [null, [], ["find"], [{}], "find"])
    assert.equal(toolDefinitions(tools), null);
});
