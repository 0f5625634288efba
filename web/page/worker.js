// A worker: loads the WebAssembly module and does what the page asks, one operation at a time.

import init, { Session, report, unanswered_case, unanswered_control } from "./gpu_resnet_web.js";

let session, network, examples, trained;

// A panic ends the module, so it is reported before.
globalThis.gpuResnetPanicked = (message) => postMessage({ panicked: message });
// An error inside of a task of the module's own leaves its promise open for ever.
addEventListener("unhandledrejection", (event) => postMessage({ died: String(event.reason?.message ?? event.reason) }));

/** Fetches a file and tells how far it is. */
async function fetched(path, tell) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path} could not be fetched: the server says ${response.status}.`);
  const total = Number(response.headers.get("content-length")) || 0;
  const parts = [];
  let have = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    have += value.length;
    tell({ have, total });
  }
  const whole = new Uint8Array(have);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function opened(next) {
  network?.free();
  network = next;
  return network.about();
}

/** What the page can ask for. */
const operations = {
  load: ({ module }) => init({ module_or_path: module }),
  async open({ browser, intact }) {
    session = await Session.open(JSON.stringify(browser), intact);
  },
  task: ({ task }) => session.answer(JSON.stringify(task)),
  plan: ({ suite, filter }) => session.plan(suite, filter || undefined),
  report: ({ collected }) => report(JSON.stringify(collected)),
  unansweredCase: ({ line, status, message }) => unanswered_case(line, status, message),
  unansweredControl: ({ name, message }) => unanswered_control(name, message),
  async fetchNetwork({ path }, tell) {
    return opened(await session.network(await fetched(path, tell), path));
  },
  async openNetwork({ bytes, name }) {
    return opened(await session.network(new Uint8Array(bytes), name));
  },
  classify: ({ bytes, name }) => network.classify(new Uint8Array(bytes), name),
  heatMap: ({ bytes, name }) => network.heat_map(new Uint8Array(bytes), name),
  newExamples({ labels }) {
    examples?.free();
    examples = network.examples(labels);
  },
  addExample: ({ bytes, name, label }) => network.add_example(examples, new Uint8Array(bytes), name, label),
  async train({ epochs }, tell) {
    await network.finish_examples(examples);
    trained?.free();
    trained = await examples.train(network, epochs ?? undefined, (text) => tell(JSON.parse(text)));
    return trained.summary();
  },
  model: () => trained.model(),
};

onmessage = async ({ data: { operation, input } }) => {
  try {
    const output = await operations[operation](input, (progress) => postMessage({ progress }));
    postMessage({ output: operation === "load" ? null : output });
  } catch (error) {
    // A trap of the module: nothing in it can be used after that.
    if (error instanceof WebAssembly.RuntimeError) postMessage({ died: error.message });
    else postMessage({ error: String(error?.message ?? error) });
  }
};
