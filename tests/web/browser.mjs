// A headless Chromium, driven through its own pipe (the DevTools protocol on file descriptors 3 and 4), so that no driver is needed.

import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** WebGPU on SwiftShader, the software driver that comes with Chromium. */
const FLAGS = [
  "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--no-first-run", "--disable-extensions",
  "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--mute-audio",
  "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan,WebGPU", "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
];

export class Browser {
  #next = 1;
  #waiting = new Map();
  #rest = "";
  #listeners = new Set();

  /** Starts the browser with a profile that goes away with it. */
  static async start(program, environment = {}) {
    const browser = new Browser();
    browser.profile = mkdtempSync(join(tmpdir(), "gpu-resnet-browser-"));
    const stdio = ["ignore", "ignore", process.env.GPU_RESNET_BROWSER_LOG ? "inherit" : "ignore", "pipe", "pipe"];
    browser.process = spawn(program, [...FLAGS, `--user-data-dir=${browser.profile}`, "about:blank"], { stdio, env: { ...process.env, ...environment } });
    browser.process.on("exit", (code) => browser.#fail(new Error(`the browser ended with status ${code}`)));
    browser.process.on("error", (error) => browser.#fail(error));
    browser.process.stdio[4].on("data", (data) => browser.#receive(data.toString()));
    await browser.send("Browser.getVersion");
    return browser;
  }

  send(method, params = {}, sessionId = undefined) {
    const id = this.#next++;
    this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject, method }));
  }

  /** A new tab on `url`, and its console's errors. */
  async open(url) {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, sessionId, targetId);
    this.#listeners.add((message) => message.sessionId === sessionId && page.hear(message));
    for (const domain of ["Page", "Runtime", "DOM", "Log", "Network"]) await page.send(`${domain}.enable`);
    await page.send("Page.navigate", { url });
    return page;
  }

  async close() {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    const timer = setTimeout(() => this.process.kill("SIGKILL"), 5000);
    await this.send("Browser.close").catch(() => {});
    await ended;
    clearTimeout(timer);
    await this.#removeProfile();
  }

  /** Processes of the browser outlive its first one for a moment, and still write into the profile. */
  async #removeProfile() {
    for (let left = 100; ; left--) {
      try {
        return await rm(this.profile, { recursive: true, force: true });
      } catch (error) {
        if (left === 0) return console.error(`${this.profile} stays: ${error.message}`);
        await sleep(100);
      }
    }
  }

  #receive(text) {
    const messages = (this.#rest + text).split("\0");
    this.#rest = messages.pop();
    for (const text of messages) {
      const message = JSON.parse(text);
      const waiting = this.#waiting.get(message.id);
      if (waiting) {
        this.#waiting.delete(message.id);
        if (message.error) waiting.reject(new Error(`${waiting.method}: ${message.error.message}`));
        else waiting.resolve(message.result);
      } else {
        for (const listener of this.#listeners) listener(message);
      }
    }
  }

  #fail(error) {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

export class Page {
  /** Requests that left the page's own server, and errors of its console. */
  foreign = [];
  errors = [];

  constructor(browser, session, target) {
    Object.assign(this, { browser, session, target });
  }

  send(method, params) {
    return this.browser.send(method, params, this.session);
  }

  hear({ method, params }) {
    if (method === "Network.requestWillBeSent") {
      const { protocol, hostname } = new URL(params.request.url);
      if (!["data:", "blob:", "about:"].includes(protocol) && hostname !== "127.0.0.1") this.foreign.push(params.request.url);
    }
    if (method === "Log.entryAdded" && params.entry.level === "error") this.errors.push(params.entry.text);
    if (method === "Runtime.exceptionThrown") this.errors.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
  }

  /** The value of an expression in the page. */
  async eval(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }

  /** Waits until an expression is true, at most `seconds`. */
  async until(expression, seconds) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
      // While a page is on its way there is no document.
      const value = await this.eval(expression).catch(() => false);
      if (value) return value;
      if (Date.now() > end) {
        const text = await this.eval("document.body.innerText.slice(0, 3000)").catch((error) => error.message);
        throw new Error(`after ${seconds} s not yet: ${expression}\n${this.errors.join("\n")}\n${text}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Chooses files as a visitor does. */
  async choose(selector, files) {
    const { root } = await this.send("DOM.getDocument");
    const { nodeId } = await this.send("DOM.querySelector", { nodeId: root.nodeId, selector });
    await this.send("DOM.setFileInputFiles", { nodeId, files });
  }

  click(id) {
    return this.eval(`document.getElementById(${JSON.stringify(id)}).click()`);
  }

  /** A picture of the page at that width: PNG bytes. */
  async screenshot(width, height, scheme = "light") {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    await this.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    const { data } = await this.send("Page.captureScreenshot", { format: "png", captureBeyondViewport: true });
    return Buffer.from(data, "base64");
  }
}
