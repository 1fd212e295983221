// npm: @mastra/core@latest @mastra/observability@latest @mastra/otel-exporter@latest @opentelemetry/exporter-trace-otlp-proto @ai-sdk/openai-compatible zod
// Mastra's exporter of OpenTelemetry: an agent with a tool.

// --8<-- [start:setup]
import { Mastra } from "@mastra/core/mastra";
import { Observability } from "@mastra/observability";
import { OtelExporter } from "@mastra/otel-exporter";

const endpoint = `${process.env.SESSIONTRACE_URL}/v1/traces`;
const exporter = new OtelExporter({ provider: { custom: { endpoint, protocol: "http/protobuf" } } });
const observability = new Observability({
  configs: { otel: { serviceName: "shop", exporters: [exporter] } },
});
// --8<-- [end:setup]
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Agent } from "@mastra/core/agent";
import { createTool } from "@mastra/core/tools";
import { z } from "zod";

const provider = createOpenAICompatible({ name: "openai", baseURL: process.env.OPENAI_BASE_URL });
const weather = createTool({
  id: "weather",
  description: "The weather of a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async () => "rain",
});
const agent = new Agent({
  id: "forecaster",
  name: "forecaster",
  instructions: "Be brief.",
  model: provider("ok"),
  tools: { weather },
});
const mastra = new Mastra({ agents: { forecaster: agent }, observability, logger: false });
// --8<-- [start:call]
await mastra.getAgent("forecaster").generate("What is the weather in Oslo?", {
  tracingOptions: { metadata: { sessionId: "chat-7", userId: "ada" } },
});
// --8<-- [end:call]
await mastra.shutdown();
