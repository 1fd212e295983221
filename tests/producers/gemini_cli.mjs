// npm: @google/gemini-cli
// Gemini CLI, asked once: its log records, and the spans of its own functions.

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
const home = fs.mkdtempSync("gemini-");
fs.mkdirSync(`${home}/.gemini`);
const auth = { selectedType: "gemini-api-key" };
fs.writeFileSync(
  `${home}/.gemini/settings.json`,
  JSON.stringify({ ...settings, security: { auth }, model: { name: "gemini-2.5-flash" }, general: { disableAutoUpdate: true } }),
);
const command = [`${process.cwd()}/node_modules/.bin/gemini`, "--skip-trust", "-p", "What is the weather in Oslo?"];
const env = { ...process.env, GEMINI_CLI_HOME: `${process.cwd()}/${home}`, GEMINI_API_KEY: "any" };
delete env.GOOGLE_API_KEY;
const result = spawnSync("node", command, { cwd: home, env, encoding: "utf8", timeout: 120000 });
console.error(result.stderr);
process.exit(result.status ?? 1);
