// npm: @arizeai/openinference-instrumentation-openai openai @opentelemetry/sdk-node @opentelemetry/exporter-trace-otlp-proto
// OpenInference's instrumentation of OpenAI's client for JavaScript.

// --8<-- [start:setup]
import { OpenAIInstrumentation } from "@arizeai/openinference-instrumentation-openai";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { NodeSDK } from "@opentelemetry/sdk-node";
import OpenAI from "openai";

const exporter = new OTLPTraceExporter({ url: process.env.SESSIONTRACE_URL + "/v1/traces" });
const sdk = new NodeSDK({ serviceName: "shop", traceExporter: exporter });
sdk.start();
const instrumentation = new OpenAIInstrumentation();
instrumentation.manuallyInstrument(OpenAI);
// --8<-- [end:setup]
import { trace } from "@opentelemetry/api";

const client = new OpenAI();
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } } }];
const attributes = { "openinference.span.kind": "AGENT", "session.id": "chat-7", "user.id": "ada", "input.value": "What is the weather in Oslo?" };
await trace.getTracer("shop").startActiveSpan("forecaster", { attributes }, async (span) => {
  const messages = [{ role: "system", content: "Be brief." }, { role: "user", content: "What is the weather in Oslo?" }];
  let answer = await client.chat.completions.create({ model: "ok", messages, tools });
  const call = answer.choices[0].message.tool_calls[0];
  messages.push(answer.choices[0].message, { role: "tool", tool_call_id: call.id, content: "rain" });
  answer = await client.chat.completions.create({ model: "ok", messages, tools, temperature: 0.5 });
  span.end();
});
await sdk.shutdown();
