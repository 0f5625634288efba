// The network that classifies photographs, and the part of the page that shows its answers.

import { $, count, dropped, element, show } from "./dom.js";

/** Where the built-in network's weights are. */
const WEIGHTS = "weights/resnet50-thin.safetensors";
/** Longer files are no photographs, and would not fit in the memory of a page. */
const MOST_BYTES = 256 << 20;

/** A worker with a network, started and loaded when it is first needed, and again after a loss. */
export class NetworkWorker {
  #child = null;
  #labels = [];

  /** `source` is null for the built-in network, or { bytes, name } of a weights file. */
  constructor(machine, source = null) {
    Object.assign(this, { machine, source });
  }

  /** The worker; `tell` hears how far its weights are. */
  async child(tell = () => {}) {
    if (this.#child?.alive) return this.#child;
    const child = await this.machine.opened();
    const loading = this.source
      ? child.ask("openNetwork", this.source)
      : child.ask("fetchNetwork", { path: WEIGHTS }, { progress: tell });
    this.about = JSON.parse(await loading);
    this.#child = child;
    return child;
  }

  end() {
    this.#child?.end();
  }
}

/** The bytes of a file. */
export async function bytesOf(file) {
  if (file.size > MOST_BYTES) throw new Error(`${file.name}: is larger than ${MOST_BYTES >> 20} MB`);
  return file.arrayBuffer();
}

/** Tells on `status` how far the weights are. */
export const tellWeights = (status) => ({ have, total }) => {
  const share = total ? ` of ${(total / 1e6).toFixed(1)}` : "";
  $(status).textContent = `Fetching the network: ${(have / 1e6).toFixed(1)}${share} MB`;
};

/** An answer as a card: the picture, then the classes. */
function card(name, { width, height, predictions }) {
  const list = element("div");
  for (const { label, probability } of predictions) {
    const percent = `${(100 * probability).toFixed(2)} %`;
    const bar = element("meter", { min: 0, max: 1, value: probability, title: percent });
    bar.setAttribute("aria-hidden", "true");
    list.append(element("div", { className: "answer" }, element("span", {}, label), element("span", {}, percent), bar));
  }
  const made = element("li", {}, element("h3", {}, name), list, element("p", { className: "small" }, `${width} × ${height} pixels`));
  made.dataset.name = name;
  made.dataset.predictions = JSON.stringify(predictions);
  return made;
}

function picture(bytes, name, label) {
  const url = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  const image = element("img", { src: url, alt: `${name}, with what speaks for ${label} in warm colours`, width: 224, height: 224 });
  image.addEventListener("load", () => URL.revokeObjectURL(url));
  return image;
}

/** Makes the part of the page work. `use` gives it another network. */
export function photosView(machine) {
  let network = new NetworkWorker(machine);
  let waiting = Promise.resolve();

  async function classify(files) {
    const { length } = files;
    if (!length) return;
    const bar = $("classify-bar");
    Object.assign(bar, { hidden: false, max: length, value: 0 });
    let [spent, good, bad] = [0, 0, 0];
    const cards = [];
    for (const file of files) {
      try {
        const child = await network.child(tellWeights("classify-status"));
        const bytes = await bytesOf(file);
        const started = performance.now();
        const answer = JSON.parse(await child.ask("classify", { bytes, name: file.name }, { seconds: 120 }));
        spent += performance.now() - started;
        good += 1;
        const made = card(file.name, answer);
        cards.push([made, file, answer.predictions[0].label]);
        $("answers").append(made);
      } catch (problem) {
        bad += 1;
        $("answers").append(element("li", { className: "bad" }, element("h3", {}, file.name), element("strong", {}, problem.message)));
      }
      bar.value += 1;
    }
    const speed = good ? ` in ${(spent / 1000).toFixed(2)} s, ${((1000 * good) / spent).toFixed(1)} images a second` : "";
    const missed = bad ? `; ${count(bad, "file")} could not be classified` : "";
    $("classify-status").textContent = `${count(good, "photograph")} classified${speed}${missed}.`;
    if ($("heat").checked) for (const each of cards) await heat(...each);
    show(false, "classify-bar");
    $("answers").dataset.done = String(Number($("answers").dataset.done ?? 0) + length);
  }

  async function heat(made, file, label) {
    try {
      const child = await network.child();
      const png = await child.ask("heatMap", { bytes: await bytesOf(file), name: file.name }, { seconds: 120 });
      made.prepend(picture(png, file.name, label));
    } catch (problem) {
      made.append(element("p", { className: "bad" }, element("strong", {}, `No heat map: ${problem.message}`)));
    }
  }

  const take = (files) => {
    const chosen = [...files];
    waiting = waiting.then(() => classify(chosen)).catch((problem) => ($("classify-status").textContent = problem.message));
  };
  $("photos").disabled = false;
  $("photos").addEventListener("change", () => {
    take($("photos").files);
    $("photos").value = "";
  });
  dropped("drop", (data) => take(data.files));
  return {
    use(bytes, name, labels) {
      network.end();
      network = new NetworkWorker(machine, { bytes, name });
      $("network-about").textContent = `Your network tells ${labels.join(", ")}.`;
    },
  };
}
