// npm: @traceloop/node-server-sdk openai
// Traceloop's SDK for JavaScript.

// --8<-- [start:setup]
import * as traceloop from "@traceloop/node-server-sdk";
import OpenAI from "openai";

traceloop.initialize({ appName: "shop", baseUrl: process.env.SESSIONTRACE_URL, disableBatch: true, instrumentModules: { openAI: OpenAI } });
// --8<-- [end:setup]
const client = new OpenAI();
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } } }];
const question = "What is the weather in Oslo?";
await traceloop.withAgent({ name: "forecaster", associationProperties: { session_id: "chat-7", user_id: "ada" } }, async () => {
  const messages = [{ role: "system", content: "Be brief." }, { role: "user", content: question }];
  let answer = await client.chat.completions.create({ model: "ok", messages, tools });
  const call = answer.choices[0].message.tool_calls[0];
  const result = await traceloop.withTool({ name: "weather" }, async (city) => "rain", JSON.parse(call.function.arguments));
  messages.push(answer.choices[0].message, { role: "tool", tool_call_id: call.id, content: result });
  answer = await client.chat.completions.create({ model: "ok", messages, tools, temperature: 0.5 });
  return answer.choices[0].message.content;
});
await traceloop.forceFlush?.();
