// A record as a command that can be pasted into a shell.
import assert from "node:assert/strict";
import { test } from "node:test";
import { curl } from "../../../../sessiontrace/server/static/js/values/curl.js";

const call = (provider) => ({
  event_id: "e",
  session_id: "s",
  config: { model: "m", provider, hyperparameters: { temperature: 0 } },
  inputs: { chat_history: [{ role: "user", content: "it's" }] },
});

test("a call of a known provider can be made again, with the key from the environment", () => {
  const command = curl(call("openai"), "model", "http://localhost");
  assert.match(command, /^curl https:\/\/api\.openai\.com\/v1\/chat\/completions/);
  assert.match(command, /Bearer \$OPENAI_API_KEY/);
  assert.match(command, /it'\\''s/); // a quote that ends the shell's text would run the rest
  assert.match(curl(call("anthropic"), "model", ""), /x-api-key: \$ANTHROPIC_API_KEY/);
});

test("anything else is read from this server", () => {
  assert.equal(
    curl(call("acme"), "model", "http://localhost:4777"),
    "curl 'http://localhost:4777/api/events/e'",
  );
  assert.equal(
    curl({ session_id: "s" }, "session", "http://localhost"),
    "curl 'http://localhost/api/sessions/s'",
  );
});
