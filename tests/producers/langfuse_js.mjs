// npm: @langfuse/tracing @langfuse/otel @langfuse/openai openai @opentelemetry/sdk-node
// Langfuse's SDK for JavaScript: observations and its client for OpenAI.

// --8<-- [start:setup]
import { LangfuseSpanProcessor } from "@langfuse/otel";
import { NodeSDK } from "@opentelemetry/sdk-node";

const processor = new LangfuseSpanProcessor({ baseUrl: process.env.SESSIONTRACE_URL, publicKey: "any", secretKey: "any" });
const sdk = new NodeSDK({ spanProcessors: [processor] });
sdk.start();
// --8<-- [end:setup]
import { observeOpenAI } from "@langfuse/openai";
import { propagateAttributes, startActiveObservation } from "@langfuse/tracing";
import OpenAI from "openai";

const client = observeOpenAI(new OpenAI());
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } } }];
await propagateAttributes({ sessionId: "chat-7", userId: "ada", tags: ["beta"], traceName: "forecast", metadata: { plan: "pro" } }, () =>
  startActiveObservation("forecaster", async (agent) => {
    agent.update({ input: "What is the weather in Oslo?" });
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "What is the weather in Oslo?" },
    ];
    let answer = await client.chat.completions.create({ model: "ok", messages, tools });
    const call = answer.choices[0].message.tool_calls[0];
    await startActiveObservation("weather", async (tool) => tool.update({ input: JSON.parse(call.function.arguments), output: "rain" }), { asType: "tool" });
    messages.push(answer.choices[0].message, { role: "tool", tool_call_id: call.id, content: "rain" });
    answer = await client.chat.completions.create({ model: "ok", messages, tools, temperature: 0.5 });
    agent.update({ output: answer.choices[0].message.content });
  }, { asType: "agent" }),
);
await sdk.shutdown();
