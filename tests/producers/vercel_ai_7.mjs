// npm: ai@7 @ai-sdk/openai-compatible@3 @ai-sdk/otel zod @opentelemetry/sdk-node @opentelemetry/exporter-trace-otlp-proto
// Version 7 of Vercel's AI SDK, whose spans follow OTel's GenAI conventions: a tool, two calls.

// --8<-- [start:setup]
import { NodeSDK } from "@opentelemetry/sdk-node";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { registerTelemetry } from "ai";
import { OpenTelemetry } from "@ai-sdk/otel";

const exporter = new OTLPTraceExporter({ url: process.env.SESSIONTRACE_URL + "/v1/traces" });
const sdk = new NodeSDK({ serviceName: "shop", traceExporter: exporter });
sdk.start();
registerTelemetry(new OpenTelemetry());
// --8<-- [end:setup]
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, isStepCount, tool } from "ai";
import { z } from "zod";

const provider = createOpenAICompatible({ name: "openai", baseURL: process.env.OPENAI_BASE_URL, includeUsage: true });
const weather = tool({ inputSchema: z.object({ city: z.string() }), execute: async () => "rain" });
await generateText({
  model: provider("ok"),
  system: "Be brief.",
  prompt: "What is the weather in Oslo?",
  tools: { weather },
  stopWhen: isStepCount(3),
  telemetry: { isEnabled: true, functionId: "forecaster" },
});
await sdk.shutdown();
