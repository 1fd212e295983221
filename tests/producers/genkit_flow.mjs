// npm: genkit @genkit-ai/compat-oai @opentelemetry/sdk-trace-base@1.25.1 @opentelemetry/exporter-trace-otlp-proto@0.52.1
// Genkit's own spans: a flow with a tool.

// --8<-- [start:setup]
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto"; // 0.52: Genkit has OpenTelemetry 1
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { enableTelemetry } from "genkit/tracing";

const exporter = new OTLPTraceExporter({ url: process.env.SESSIONTRACE_URL + "/v1/traces" });
const processor = new BatchSpanProcessor(exporter);
await enableTelemetry({ spanProcessors: [processor] });
// --8<-- [end:setup]
import { openAICompatible } from "@genkit-ai/compat-oai";
import { genkit, z } from "genkit";

const models = openAICompatible({ name: "openai", apiKey: "any", baseURL: process.env.OPENAI_BASE_URL });
const ai = genkit({ plugins: [models] });
const weather = ai.defineTool(
  { name: "weather", description: "The weather of a city.", inputSchema: z.object({ city: z.string() }) },
  async () => "rain",
);
const forecaster = ai.defineFlow({ name: "forecaster", inputSchema: z.string() }, async (question) => {
  const answer = await ai.generate({ model: "openai/ok", system: "Be brief.", prompt: question, tools: [weather] });
  return answer.text;
});
await forecaster("What is the weather in Oslo?");
await processor.forceFlush();
process.exit(0);
