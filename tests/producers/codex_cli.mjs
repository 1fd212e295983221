// npm: @openai/codex
// Codex CLI, asked once: its log records.

import { spawnSync } from "node:child_process";
import fs from "node:fs";

// --8<-- [start:setup]
const telemetry = `
[otel]
log_user_prompt = true
exporter = { otlp-http = { endpoint = "${process.env.SESSIONTRACE_URL}/v1/logs", protocol = "binary" } }
`;
// --8<-- [end:setup]
const home = fs.mkdtempSync(`${process.cwd()}/codex-`);
const provider = `
model = "ok"
model_provider = "stub"
[model_providers.stub]
name = "stub"
base_url = "${process.env.OPENAI_BASE_URL}"
wire_api = "responses"
env_key = "OPENAI_API_KEY"
`;
fs.writeFileSync(`${home}/config.toml`, provider + telemetry);
const command = ["node_modules/.bin/codex", "exec", "--skip-git-repo-check", "What is the weather in Oslo?"];
const env = { ...process.env, CODEX_HOME: home };
const result = spawnSync("node", command, { env, input: "", encoding: "utf8", timeout: 120000 });
console.error(result.stdout, result.stderr);
process.exit(result.status ?? 1);
