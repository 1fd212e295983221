// npm: @qwen-code/qwen-code
// Qwen Code, a fork of Gemini CLI, asked once: its log records.

import { spawnSync } from "node:child_process";
import fs from "node:fs";

// --8<-- [start:setup]
const settings = {
  telemetry: {
    enabled: true,
    target: "local",
    otlpEndpoint: process.env.SESSIONTRACE_URL,
    otlpProtocol: "http",
    logPrompts: true,
  },
};
// --8<-- [end:setup]
const home = fs.mkdtempSync(`${process.cwd()}/qwen-`);
fs.mkdirSync(`${home}/.qwen`);
const auth = { selectedType: "openai" };
const quiet = { privacy: { usageStatisticsEnabled: false }, general: { disableAutoUpdate: true } };
fs.writeFileSync(`${home}/.qwen/settings.json`, JSON.stringify({ ...settings, ...quiet, security: { auth } }));
const command = ["node_modules/.bin/qwen", "-p", "What is the weather in Oslo?"];
const env = { ...process.env, HOME: home, OPENAI_MODEL: "ok" };
const result = spawnSync("node", command, { env, encoding: "utf8", timeout: 120000 });
console.error(result.stdout, result.stderr);
process.exit(result.status ?? 1);
