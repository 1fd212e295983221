// npm: langchain @langchain/core @langchain/openai zod @arizeai/openinference-instrumentation-langchain @opentelemetry/sdk-node @opentelemetry/exporter-trace-otlp-proto
// OpenInference's instrumentation of LangChain for JavaScript: an agent with a tool.

// --8<-- [start:setup]
import { LangChainInstrumentation } from "@arizeai/openinference-instrumentation-langchain";
import * as callbacks from "@langchain/core/callbacks/manager";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { NodeSDK } from "@opentelemetry/sdk-node";

const exporter = new OTLPTraceExporter({ url: process.env.SESSIONTRACE_URL + "/v1/traces" });
const sdk = new NodeSDK({ serviceName: "shop", traceExporter: exporter });
sdk.start();
new LangChainInstrumentation().manuallyInstrument(callbacks);
// --8<-- [end:setup]
import { ChatOpenAI } from "@langchain/openai";
import { createAgent, tool } from "langchain";
import { z } from "zod";

const weather = tool(async () => "rain", {
  name: "weather",
  description: "The weather of a city.",
  schema: z.object({ city: z.string() }),
});
const model = new ChatOpenAI({ model: "ok", configuration: { baseURL: process.env.OPENAI_BASE_URL } });
const agent = createAgent({ model, tools: [weather], systemPrompt: "Be brief.", name: "forecaster" });
await agent.invoke(
  { messages: [{ role: "user", content: "What is the weather in Oslo?" }] },
  { metadata: { session_id: "chat-7", user_id: "ada" } },
);
await sdk.shutdown();
