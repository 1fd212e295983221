// Humanloop's own Node client (0.5.36): the three examples of its documentation of sessions, with
// ids that exist, and a log between them. The server's URL is given; prints the session's id.

const { Humanloop } = require("humanloop");

async function main() {
  const humanloop = new Humanloop({
    basePath: `${process.argv[2]}/v4`,
    openaiApiKey: "openaiApiKey",
    openaiAzureApiKey: "openaiAzureApiKey",
    openaiAzureEndpointApiKey: "openaiAzureEndpointApiKey",
    cohereApiKey: "cohereApiKey",
    ai21ApiKey: "ai21ApiKey",
    mockApiKey: "mockApiKey",
    anthropicApiKey: "anthropicApiKey",
    apiKey: "API_KEY",
  });

  const createResponse = await humanloop.sessions.create();
  const id = createResponse.data.id;

  let projectId = "";
  for (let turn = 0; turn < 3; turn += 1) {
    const logged = await humanloop.log({
      project: `official ${id.slice(-6)}`,
      ...(turn === 0 ? { session_id: id } : { session_reference_id: `node-${id}-${turn}` }),
      reference_id: `${id}-${turn}`,
      inputs: { question: "6 x 7" },
      output: "42",
      config: { type: "model", model: "gpt-x" },
    });
    projectId = logged.data.project_id;
    if (turn === 0) {
      await humanloop.feedback({ type: "rating", value: "good", data_id: logged.data.id });
      await humanloop.logs.updateByRef({ referenceId: `${id}-0`, output: "forty-two" });
    }
  }

  const getResponse = await humanloop.sessions.get({ id });
  if (getResponse.data.last_output !== "forty-two") throw new Error(JSON.stringify(getResponse.data));

  let page = await humanloop.sessions.list({ projectId, page: 1, size: 2 });
  const seen = page.data.records.map((one) => one.id);
  while (page.hasNext()) {
    page = await page.next();
    seen.push(...page.data.records.map((one) => one.id));
  }
  while (page.hasPrevious()) {
    page = await page.previous();
  }
  if (new Set(seen).size !== 3 || seen.length !== 3) throw new Error(`pages: ${seen}`);
  console.log(id);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
