// Chromium, driven by its DevTools protocol over a pipe: nothing listens, and
// nothing has to be installed beside node and chromium.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const ANSWER_TIMEOUT = 20_000;

export async function start() {
  const profile = mkdtempSync(join(tmpdir(), "stockade-browser-"));
  const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
    `--user-data-dir=${profile}`, "about:blank"];
  const child = spawn("chromium", flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const [, , , input, output] = child.stdio;
  const waiting = new Map();
  const listeners = [];
  let last = 0;
  let rest = "";
  output.setEncoding("utf8");
  output.on("data", (data) => {
    const messages = (rest + data).split("\0");
    rest = messages.pop();
    for (const text of messages) {
      const message = JSON.parse(text);
      if (message.id === undefined) {
        for (const listener of listeners) listener(message);
        continue;
      }
      const { resolve, reject, timer } = waiting.get(message.id);
      clearTimeout(timer);
      waiting.delete(message.id);
      if (message.error) reject(new Error(message.error.message)); else resolve(message.result);
    }
  });
  const send = (method, params = {}, sessionId = undefined) => new Promise((resolve, reject) => {
    const id = ++last;
    const timer = setTimeout(() => reject(new Error(`no answer to ${method}`)), ANSWER_TIMEOUT);
    waiting.set(id, { resolve, reject, timer });
    input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  });
  const fail = (error) => {
    for (const { reject, timer } of waiting.values()) {
      clearTimeout(timer);
      reject(error);
    }
    waiting.clear();
  };
  child.on("error", fail);
  child.on("exit", () => fail(new Error("the browser has ended")));

  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const page = new Page((method, params) => send(method, params, sessionId), listeners);
  for (const domain of ["Page", "Runtime", "Log", "Network", "Accessibility"]) await page.send(`${domain}.enable`);
  const stop = async () => {
    const ended = new Promise((resolve) => child.on("exit", resolve));
    send("Browser.close").catch(() => {});
    const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await ended;
    clearTimeout(timer);
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  return { page, stop };
}

class Page {
  // What the page said on its console, and what it asked of the network.
  errors = [];
  requests = [];

  constructor(send, listeners) {
    this.send = send;
    this.listeners = listeners;
    listeners.push(({ method, params }) => {
      if (method === "Log.entryAdded" && params.entry.level === "error") this.errors.push(params.entry.text);
      if (method === "Runtime.exceptionThrown") this.errors.push(JSON.stringify(params.exceptionDetails));
      if (method === "Runtime.consoleAPICalled") this.errors.push(JSON.stringify(params.args));
      if (method === "Network.requestWillBeSent") this.requests.push(params.request.url);
    });
  }

  async open(file, hash = "") {
    const loaded = new Promise((resolve) => {
      this.listeners.push(({ method }) => method === "Page.loadEventFired" && resolve());
    });
    const { loaderId } = await this.send("Page.navigate", { url: pathToFileURL(file).href + hash });
    // Without a loader it is another section of the same page, which does not load.
    if (loaderId) await loaded;
  }

  // The value of an expression, or of a function that is called in the page.
  async value(expression, ...args) {
    const text = typeof expression === "function" ? `(${expression})(...${JSON.stringify(args)})` : expression;
    const { result, exceptionDetails } =
      await this.send("Runtime.evaluate", { expression: text, returnByValue: true, awaitPromise: true });
    if (exceptionDetails) throw new Error(`${text}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }

  // Goes to a section, and waits until the script has followed.
  async go(hash) {
    await this.value((to) => new Promise((resolve) => {
      location.hash = to;
      setTimeout(resolve, 50);
    }), hash);
  }

  async press(key, { code = key, text = undefined, virtual = 0 } = {}) {
    const event = { key, code, windowsVirtualKeyCode: virtual };
    await this.send("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", text, ...event });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  async media(scheme, media = "") {
    await this.send("Emulation.setEmulatedMedia", { media, features: [{ name: "prefers-color-scheme", value: scheme }] });
    // What was folded away is laid out with the next frames.
    await this.value("new Promise((resolve) => setTimeout(resolve, 100))");
  }
}
