// A message of any API in one shape.
import assert from "node:assert/strict";
import { test } from "node:test";
import { mediaOf } from "../../../../sessiontrace/server/static/js/values/media.js";
import {
  normalized,
  parseJson,
} from "../../../../sessiontrace/server/static/js/values/message_parts.js";

const parts = (message) => normalized({ role: "assistant", ...message }).parts;
const call = (id, name, value) => ({ kind: "call", id, name, value });

test("a role says who speaks", () => {
  const sides = ["user", "human", "system", "developer", "tool", "assistant", "model", "toString"];
  assert.deepEqual(
    sides.map((role) => normalized({ role, content: "x" }).side),
    ["user", "user", "system", "system", "tool", "model", "model", "model"],
  );
});

test("the call of a tool is the same in each API's words", () => {
  const expected = [call("c1", "find", { q: "tea" })];
  const input = { q: "tea" };
  const messages = {
    openai: {
      tool_calls: [
        { id: "c1", type: "function", function: { name: "find", arguments: '{"q":"tea"}' } },
      ],
    },
    langchain: { tool_calls: [{ id: "c1", name: "find", args: input, type: "tool_call" }] },
    anthropic: { content: [{ type: "tool_use", id: "c1", name: "find", input }] },
    bedrock: { content: [{ toolUse: { toolUseId: "c1", name: "find", input } }] },
    gemini: { parts: [{ functionCall: { id: "c1", name: "find", args: input } }] },
    otel: { parts: [{ type: "tool_call", id: "c1", name: "find", arguments: input }] },
    vercel: { content: [{ type: "tool-call", toolCallId: "c1", toolName: "find", input }] },
  };
  for (const [api, message] of Object.entries(messages))
    assert.deepEqual(parts(message), expected, api);
});

test("so is what the tool returned", () => {
  const messages = {
    openai: { role: "tool", tool_call_id: "c1", content: '{"n":1}' },
    anthropic: {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: "c1", content: [{ type: "text", text: '{"n":1}' }] },
      ],
    },
    bedrock: { role: "user", content: [{ toolResult: { toolUseId: "c1", content: '{"n":1}' } }] },
    gemini: { role: "user", parts: [{ functionResponse: { id: "c1", response: { n: 1 } } }] },
    otel: { role: "tool", parts: [{ type: "tool_call_response", id: "c1", response: '{"n":1}' }] },
  };
  for (const [api, message] of Object.entries(messages)) {
    const [{ kind, id, value, failed }] = normalized(message).parts;
    assert.deepEqual([kind, id, value, failed], ["result", "c1", { n: 1 }, false], api);
  }
});

test("a failed tool is one", () => {
  const content = [{ type: "tool_result", tool_use_id: "c1", content: "no", is_error: true }];
  assert.equal(normalized({ role: "user", content }).parts[0].failed, true);
});

test("reasoning comes before what was said", () => {
  const expected = [
    { kind: "reasoning", text: "Hm." },
    { kind: "text", text: "Yes." },
  ];
  const messages = {
    plain: { reasoning: "Hm.", content: "Yes." },
    deepseek: { reasoning_content: "Hm.", content: "Yes." },
    anthropic: {
      content: [
        { type: "thinking", thinking: "Hm.", signature: "x" },
        { type: "text", text: "Yes." },
      ],
    },
    gemini: { parts: [{ text: "Hm.", thought: true }, { text: "Yes." }] },
    bedrock: {
      content: [{ reasoningContent: { reasoningText: { text: "Hm." } } }, { text: "Yes." }],
    },
    otel: {
      parts: [
        { type: "reasoning", content: "Hm." },
        { type: "text", content: "Yes." },
      ],
    },
    responses: {
      content: [
        { type: "reasoning", summary: [{ type: "summary_text", text: "Hm." }] },
        { type: "output_text", text: "Yes." },
      ],
    },
  };
  for (const [api, message] of Object.entries(messages))
    assert.deepEqual(parts(message), expected, api);
});

test("a medium is known by its digest, its address or its name", () => {
  const digest = { media_type: "image/png", bytes: 12, sha256: "ab" };
  const known = {
    label: "",
    type: "image/png",
    bytes: 12,
    digest: "ab",
    source: null,
    stored: false,
  };
  for (const block of [
    { type: "image_url", image_url: { url: digest } },
    { type: "image", source: { type: "base64", media_type: "image/png", data: digest } },
    { inlineData: { mimeType: "image/png", data: digest } },
    { image: { format: "png", source: { bytes: digest } } },
    { type: "input_image", image_url: digest },
  ])
    assert.deepEqual(mediaOf(block), known);
  const address = mediaOf({ type: "image_url", image_url: { url: "https://a.test/p.png" } });
  assert.equal(address.source, "https://a.test/p.png");
  assert.equal(mediaOf({ type: "input_file", file_id: "file-1" }).label, "file-1");
  assert.equal(mediaOf({ answer: 42 }), null);
});

test("what no API says is shown as it is", () => {
  for (const content of [[42], [null], [{ strange: true }], { strange: true }, [[1]]])
    assert.equal(parts({ content })[0].kind, "other");
  assert.deepEqual(parts({ content: null }), []);
  assert.equal(parts({ tool_calls: ["what?"] })[0].kind, "other");
});

test("only objects and lists are read as JSON", () => {
  assert.deepEqual(parseJson(' {"a": 1}'), { a: 1 });
  assert.equal(parseJson("42"), null);
  assert.equal(parseJson("{broken"), null);
});
