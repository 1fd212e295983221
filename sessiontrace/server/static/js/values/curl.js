// A record as a command for a shell. Pure: no element is made here.

/** Text as one word of a POSIX shell. @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/**
 * A curl command: for a model call of a known provider the same call again, for anything else the
 * request that reads the record from this server.
 * @param {any} record
 * @param {string} type the type of the step, or "session"
 * @param {string} origin of this server
 */
export function curl(record, type, origin) {
  const { model, provider, hyperparameters, tools } = record.config ?? {};
  const messages = record.inputs?.chat_history ?? record.inputs?.messages;
  if (type === "model" && typeof model === "string" && Array.isArray(messages)) {
    const body = quoted(
      JSON.stringify(
        { model, messages, ...(tools ? { tools } : {}), ...(hyperparameters ?? {}) },
        null,
        2,
      ),
    );
    if (provider === "openai")
      return `curl https://api.openai.com/v1/chat/completions \\\n  -H "Authorization: Bearer $OPENAI_API_KEY" \\\n  -H 'Content-Type: application/json' \\\n  -d ${body}`;
    if (provider === "anthropic")
      return `curl https://api.anthropic.com/v1/messages \\\n  -H "x-api-key: $ANTHROPIC_API_KEY" \\\n  -H 'anthropic-version: 2023-06-01' \\\n  -H 'Content-Type: application/json' \\\n  -d ${body}`;
  }
  const path =
    type === "session"
      ? `/api/sessions/${encodeURIComponent(record.session_id)}`
      : `/api/events/${encodeURIComponent(record.event_id)}`;
  return `curl ${quoted(origin + path)}`;
}
