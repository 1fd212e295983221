// npm: @anthropic-ai/claude-code
// Claude Code, asked once: its log records and, in the beta of its traces, its spans.

import { spawnSync } from "node:child_process";
import fs from "node:fs";

// --8<-- [start:setup]
const telemetry = {
  CLAUDE_CODE_ENABLE_TELEMETRY: "1",
  CLAUDE_CODE_ENHANCED_TELEMETRY_BETA: "1",
  OTEL_TRACES_EXPORTER: "otlp",
  OTEL_LOGS_EXPORTER: "otlp",
  OTEL_METRICS_EXPORTER: "otlp",
  OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
  OTEL_EXPORTER_OTLP_ENDPOINT: process.env.SESSIONTRACE_URL,
  OTEL_LOG_USER_PROMPTS: "1",
  OTEL_LOG_TOOL_DETAILS: "1",
  OTEL_LOG_TOOL_CONTENT: "1",
};
// --8<-- [end:setup]
const home = fs.mkdtempSync(`${process.cwd()}/claude-`);
const places = ["claude-code-linux-x64", "claude-code-linux-arm64", "claude-code-darwin-arm64"];
const program = places.map((place) => `node_modules/@anthropic-ai/${place}/claude`).find(fs.existsSync);
const env = {
  ...process.env,
  ...telemetry,
  HOME: home,
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  DISABLE_AUTOUPDATER: "1",
};
const command = ["-p", "What is the weather in Oslo?", "--model", "ok"];
const result = spawnSync(program, command, { env, encoding: "utf8", timeout: 120000 });
console.error(result.stdout, result.stderr);
process.exit(result.status ?? 1);
