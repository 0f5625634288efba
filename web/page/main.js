// Starts the page: looks for WebGPU, shows the adapter, and makes each part work.

import { Child, NoAnswer } from "./child.js";
import { $, element, row, show } from "./dom.js";
import { photosView } from "./photos.js";
import { trainingView } from "./training.js";
import { verifyView } from "./verify-view.js";

// The versions are those of MDN's browser-compat-data 8.1.9 (2026-11-12), api.GPU; docs/guide/browser.md has them too.
const WITHOUT_WEBGPU =
  "This browser has no WebGPU, or it is turned off. Chrome and Edge have it from version 113 on Windows, macOS and ChromeOS, from 121 on Android, and from 144 on " +
  "Linux with an Intel GPU of generation 12 or newer. Safari has it from 26, Firefox from 141 on Windows and from 145 on Macs with Apple silicon. " +
  "On Linux with another GPU, open chrome://flags/#enable-unsafe-webgpu in Chrome, choose Enabled, and start it again.";
const INSECURE = "A browser offers WebGPU only to pages from https:// or from this machine (http://localhost). Open the page through one of these.";
const NO_ADAPTER =
  "This browser has WebGPU, but no GPU for it. Update the graphics driver, or open chrome://gpu and look for WebGPU under the problems that it lists.";

/** Name, version and system of the browser, as far as it tells. */
function browserName() {
  const { userAgentData, userAgent } = navigator;
  const brand = userAgentData?.brands?.filter(({ brand }) => !/not.?a.?brand/i.test(brand)).sort((a, b) => b.brand.length - a.brand.length)[0];
  if (brand) return `${brand.brand} ${brand.version} on ${userAgentData.platform}`;
  const version = /(Firefox|Edg|Chrome|Version)\/([\d.]+)/.exec(userAgent);
  const system = /\(([^;)]+)/.exec(userAgent)?.[1] ?? "an unknown system";
  return version ? `${version[1] === "Version" ? "Safari" : version[1]} ${version[2]} on ${system}` : "an unknown browser";
}

/** What workers are started with: the compiled module, the browser and its adapter. */
class Machine {
  constructor(module, browser, info, intact) {
    Object.assign(this, { module, browser, intact });
    const { vendor, architecture, device, description } = info;
    this.identity = { vendor, architecture, device, description, isFallbackAdapter: info.isFallbackAdapter ?? false, browser, threads: navigator.hardwareConcurrency ?? 0 };
  }

  /** A worker without an adapter. */
  worker() {
    return Child.start(this.module);
  }

  /** A worker with the adapter opened, which may take `seconds`. */
  async opened(seconds = 60) {
    const child = await this.worker();
    try {
      await child.ask("open", { browser: this.identity, intact: this.intact }, { seconds });
    } catch (problem) {
      if (problem.kind !== "timeout") throw problem;
      // No page can end a shader that runs on.
      throw new NoAnswer("timeout", `it did not open within ${seconds} s. If a shader never ends, only a restart of the browser ends it`);
    }
    return child;
  }
}

function trouble(text) {
  $("trouble").replaceChildren(element("p", {}, text));
  show(true, "trouble");
  $("adapter-name").textContent = "None that this page can use.";
}

/** Shows what the browser says of its adapter. */
function showAdapter(adapter, browser) {
  const { info, limits, features } = adapter;
  const family = [info.vendor, info.architecture].filter((text) => text).join(" ");
  const name = info.description || info.device || family || "an adapter that the browser does not name";
  $("adapter-name").textContent = `${name}, through ${browser}`;
  const wanted = /^max(Buffer|Storage|Compute|Uniform|Bind)|Alignment$/;
  const names = Object.keys(Object.getPrototypeOf(limits)).filter((limit) => wanted.test(limit));
  $("limits").replaceChildren(...names.sort().map((limit) => row(limit, limits[limit].toLocaleString("en"))));
  $("features").replaceChildren(...[...features].sort().map((feature) => element("li", {}, feature)));
  show(true, "adapter-details");
}

/** Options in the address: the suite and the filter; `intact` is for the page's own test. */
function fromAddress() {
  const asked = new URLSearchParams(location.search);
  if (["quick", "kernels", "full"].includes(asked.get("suite"))) $("suite").value = asked.get("suite");
  if (asked.has("filter")) $("filter").value = asked.get("filter");
  return asked.has("intact");
}

async function start() {
  const intact = fromAddress();
  if (!isSecureContext) return trouble(INSECURE);
  if (!navigator.gpu) return trouble(WITHOUT_WEBGPU);
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) return trouble(NO_ADAPTER);
  const browser = browserName();
  showAdapter(adapter, browser);
  const module = await WebAssembly.compileStreaming(fetch("gpu_resnet_web_bg.wasm"));
  const machine = new Machine(module, browser, adapter.info, intact);
  verifyView(machine);
  trainingView(machine, photosView(machine));
  document.documentElement.dataset.ready = "yes";
}

start().catch((problem) => trouble(`The page could not start: ${problem.message}`));
