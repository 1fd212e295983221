// npm: @voltagent/core @ai-sdk/openai-compatible@2 ai@6 zod @opentelemetry/exporter-trace-otlp-proto @opentelemetry/sdk-trace-base
// VoltAgent with its own spans: an agent with a tool, in a conversation of a user.

// --8<-- [start:setup]
import { VoltAgentObservability } from "@voltagent/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const exporter = new OTLPTraceExporter({ url: process.env.SESSIONTRACE_URL + "/v1/traces" });
const observability = new VoltAgentObservability({
  serviceName: "shop",
  spanProcessors: [new BatchSpanProcessor(exporter)],
});
// --8<-- [end:setup]
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Agent, createTool } from "@voltagent/core";
import { z } from "zod";

const provider = createOpenAICompatible({ name: "openai", baseURL: process.env.OPENAI_BASE_URL, includeUsage: true });
const weather = createTool({
  name: "weather",
  description: "The weather of a city",
  parameters: z.object({ city: z.string() }),
  execute: async () => "rain",
});
const forecaster = new Agent({
  name: "forecaster",
  instructions: "Be brief.",
  model: provider("ok"),
  tools: [weather],
  observability,
});
await forecaster.generateText("What is the weather in Oslo?", { userId: "ada", conversationId: "chat-7" });
await observability.forceFlush();
process.exit(0);
