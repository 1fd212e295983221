// npm: ai @ai-sdk/openai-compatible zod @opentelemetry/sdk-node @opentelemetry/exporter-trace-otlp-proto
// Vercel's AI SDK with OpenTelemetry's SDK for Node: a tool, two calls in one trace.

// --8<-- [start:setup]
import { NodeSDK } from "@opentelemetry/sdk-node";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";

const exporter = new OTLPTraceExporter({ url: process.env.SESSIONTRACE_URL + "/v1/traces" });
const sdk = new NodeSDK({ serviceName: "shop", traceExporter: exporter });
sdk.start();
// --8<-- [end:setup]
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const provider = createOpenAICompatible({ name: "openai", baseURL: process.env.OPENAI_BASE_URL, includeUsage: true });
const weather = tool({ inputSchema: z.object({ city: z.string() }), execute: async () => "rain" });
// --8<-- [start:call]
const experimental_telemetry = {
  isEnabled: true,
  functionId: "forecast",
  metadata: { sessionId: "chat-7", userId: "ada", tags: ["beta"], plan: "pro" },
};
// --8<-- [end:call]
const answer = await generateText({
  model: provider("ok"),
  system: "Be brief.",
  prompt: "What is the weather in Oslo?",
  tools: { weather },
  stopWhen: stepCountIs(3),
  temperature: 0.5,
  experimental_telemetry,
});
const streamed = streamText({ model: provider("ok"), messages: [{ role: "user", content: "And in Bergen?" }], experimental_telemetry });
for await (const _ of streamed.textStream);
await embedMany({ model: provider.textEmbeddingModel("ok"), values: ["Oslo", "Bergen"], experimental_telemetry });
await sdk.shutdown();
