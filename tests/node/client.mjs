// Calls the server at argv[2] with the `openai` package and prints what came of it as one JSON object.
import OpenAI from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const origins = new Set();

// Nothing but the server under test may be reached.
const guarded = async (url, init) => {
  const { origin } = new URL(url instanceof Request ? url.url : url);
  origins.add(origin);
  if (origin !== new URL(baseURL).origin) throw new Error(`unexpected request to ${origin}`);
  return fetch(url, init);
};

const client = new OpenAI({ baseURL, apiKey, fetch: guarded, maxRetries: 0, timeout: 30_000 });
const messages = [{ role: "user", content: "Where is the hotel?" }];

async function failure(call) {
  try {
    await call();
  } catch (error) {
    const { status, code, param, type, requestID } = error;
    return { name: error.constructor.name, status, code, param, type, requestID };
  }
  return null;
}

const completion = await client.chat.completions.create({
  model: "nllb-demo",
  messages,
  target_lang: "fra_Latn",
});
const t5 = await client.chat.completions.create({
  model: "t5-demo",
  messages: [
    { role: "system", content: "translate English to German:" },
    { role: "user", content: "I have lost my umbrella in Venice." },
  ],
});
const models = [];
for await (const model of client.models.list()) models.push(model.id);
const model = await client.models.retrieve("t5-demo");
const withKey = (key) => new OpenAI({ baseURL, apiKey: key, fetch: guarded, maxRetries: 0, timeout: 30_000 });

console.log(
  JSON.stringify({
    completion,
    requestID: completion._request_id,
    t5: t5.choices[0].message.content,
    models,
    model,
    notFound: await failure(() => client.chat.completions.create({ model: "gpt-5", messages })),
    badRequest: await failure(() => client.chat.completions.create({ model: "nllb-demo", messages, temperature: 3 })),
    missingTarget: await failure(() => client.chat.completions.create({ model: "nllb-demo", messages })),
    unauthorized: await failure(() => withKey("wrong").models.list()),
    origins: [...origins],
  }),
);
