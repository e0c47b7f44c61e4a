// Opens a page in headless Chromium, evaluates an expression in it and prints what came of it as one JSON object:
// its value, every address the page asked for, and what failed or was complained about.
//
// usage: node browser.mjs CHROMIUM ADDRESS EXPRESSION
//
// The expression may await until(condition), which tries until the condition holds. No name but 127.0.0.1 is resolved.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const LIMIT_MS = 20_000;
const [chromium, address, expression] = process.argv.slice(2);
const profile = await mkdtemp(join(tmpdir(), "chromium-"));
const browser = spawn(
  chromium,
  [
    "--headless",
    "--no-sandbox", // root has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    `--user-data-dir=${profile}`,
    "--remote-debugging-port=0",
    "about:blank",
  ],
  { stdio: ["ignore", "ignore", "pipe"] },
);

const requests = [];
const complaints = [];

async function close(signal) {
  browser.removeAllListeners("close");
  if (browser.exitCode === null && browser.kill(signal)) await new Promise((resolve) => browser.on("exit", resolve));
  await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

async function fail(message) {
  await close("SIGKILL");
  console.error(message, { requests, complaints });
  process.exit(1);
}

setTimeout(() => fail(`nothing came of it within ${LIMIT_MS} ms`), LIMIT_MS).unref();
browser.on("error", (error) => fail(String(error)));

// --- Chrome's DevTools protocol ---------------------------------------------------------------------------------------

const socket = await new Promise((resolve) => {
  let said = "";
  browser.stderr.on("data", (data) => {
    said += data;
    const found = /DevTools listening on (ws:\S+)/.exec(said);
    if (found) resolve(new WebSocket(found[1]));
  });
  browser.on("close", () => fail(`the browser ended:\n${said}`));
});
await new Promise((resolve) => socket.addEventListener("open", resolve));

const answers = new Map();
let loaded;
const load = new Promise((resolve) => (loaded = resolve));
const heard = {
  "Page.loadEventFired": () => loaded(),
  "Network.requestWillBeSent": ({ request }) => requests.push(request.url),
  "Network.loadingFailed": ({ errorText, blockedReason }) => complaints.push(`${errorText} ${blockedReason ?? ""}`),
  "Runtime.exceptionThrown": ({ exceptionDetails: { text, exception } }) =>
    complaints.push(`${text} ${exception?.description}`),
  "Runtime.consoleAPICalled": ({ type, args }) => {
    if (type === "error") complaints.push(args.map((arg) => arg.value ?? arg.description).join(" "));
  },
  "Log.entryAdded": ({ entry: { level, text, url } }) => {
    if (level === "error") complaints.push(`${text} ${url ?? ""}`);
  },
};
socket.addEventListener("message", ({ data }) => {
  const { id, method, params, result, error } = JSON.parse(data);
  if (id) answers.get(id)(error ? { failed: error.message } : result);
  else heard[method]?.(params);
});

let sessionId;
async function call(method, params = {}) {
  const id = answers.size + 1;
  const answer = await new Promise((resolve) => {
    answers.set(id, resolve);
    socket.send(JSON.stringify({ id, method, params, sessionId }));
  });
  if (answer.failed) await fail(`${method}: ${answer.failed}`);
  return answer;
}

const { targetId } = await call("Target.createTarget", { url: "about:blank" });
({ sessionId } = await call("Target.attachToTarget", { targetId, flatten: true }));
for (const domain of ["Page", "Network", "Runtime", "Log"]) await call(`${domain}.enable`);
await call("Page.navigate", { url: address });
await load;
const { result, exceptionDetails } = await call("Runtime.evaluate", {
  expression: `(async () => {
    const until = async (condition) => {
      for (;;) {
        const found = condition();
        if (found) return found;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    return (${expression});
  })()`,
  awaitPromise: true,
  returnByValue: true,
});
if (exceptionDetails) complaints.push(exceptionDetails.exception?.description ?? exceptionDetails.text);

await close();
const value = exceptionDetails ? null : (result.value ?? null);
console.log(JSON.stringify({ value, requests, complaints }));
