// Puts OpenAI's client for Node through what tests/clients/play.py puts the others through, and lists models besides.
// The job is JSON on standard input, the report JSON on standard output.
import { reached, refused } from "./loopback.mjs";
import { json } from "node:stream/consumers";
import OpenAI from "openai";

const job = await json(process.stdin);
const [text, target] = job.questions[0];
const connected = (baseURL, apiKey = job.key) => new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 });
const client = connected(job.url);
const asking = (content, fields = {}) => ({
  model: job.model,
  messages: [{ role: "user", content }],
  target_lang: target,
  ...fields,
});
const part = (text, finish_reason = null, usage = null) => ({
  text,
  finish_reason,
  usage: usage && [usage.prompt_tokens, usage.completion_tokens],
});

async function ask(content, fields, by = client) {
  const completion = await by.chat.completions.create(asking(content, fields));
  const [choice] = completion.choices;
  return part(choice.message.content, choice.finish_reason, completion.usage);
}

async function read(content, parts, fields = {}, by = client) {
  const streaming = { stream: true, stream_options: { include_usage: true }, ...fields };
  for await (const chunk of await by.chat.completions.create(asking(content, streaming))) {
    for (const choice of chunk.choices) parts.push(part(choice.delta.content ?? "", choice.finish_reason));
    if (chunk.usage) parts.push(part("", null, chunk.usage));
  }
}

// Leaving the loop is what closes the stream.
async function leave(content) {
  for await (const chunk of await client.chat.completions.create(asking(content, { stream: true }))) {
    if (chunk.choices[0].delta.content) return chunk.choices[0].delta.content;
  }
  return "";
}

async function failure(work) {
  try {
    await work;
  } catch (error) {
    const { status = null, code = null, param = null, message } = error;
    return { name: error.constructor.name, status, code, param, message };
  }
  return null;
}

const streamed = [];
const cut = [];
const report = {
  plain: await ask(text),
  streamed_error: await failure(read(job.text, streamed)),
  streamed,
  errors: {
    model: await failure(ask(text, { model: "gpt-5" })),
    language: await failure(ask(text, { target_lang: "klingon" })),
    key: await failure(ask(text, {}, connected(job.url, "sk-wrong"))),
    stream: await failure(read(text, [], { target_lang: "klingon" })),
  },
  cut_error: await failure(read(job.long, cut, {}, connected(job.hurried_url))),
  cut,
  left: await leave(job.long),
  parallel: await Promise.all(
    job.questions.map(async ([text, target_lang]) => (await ask(text, { target_lang })).text),
  ),
};

const { data: completion, request_id: requestID } = await client.chat.completions.create(asking(text)).withResponse();
const models = [];
for await (const model of client.models.list()) models.push(model.id);
const node = { requestID, completionID: completion.id, models, model: await client.models.retrieve("t5-demo") };
console.log(JSON.stringify({ ...report, ...node, reached: [...reached], refused: [...refused] }));
