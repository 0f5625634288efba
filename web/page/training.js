// The part of the page that trains a head on the visitor's photographs.

import { $, count, dropped, element, row, save, show } from "./dom.js";
import { NetworkWorker, bytesOf, tellWeights } from "./photos.js";

const IMAGE = /\.(jpe?g|png|webp|tiff?|bmp|gif|p[npgb]m)$/i;
/** Files of one folder that are read at most. */
const MOST_FILES = 20_000;

/** The classes: names, and their photographs in the order of their names. */
class Classes {
  #files = new Map();

  add(name, files) {
    const photos = files.filter((file) => IMAGE.test(file.name) || file.type.startsWith("image/"));
    if (!name || !photos.length) return 0;
    this.#files.set(name, [...(this.#files.get(name) ?? []), ...photos]);
    return photos.length;
  }

  remove(name) {
    this.#files.delete(name);
  }

  /** Sorted as `gpu-resnet finetune` sorts a folder's classes and files. */
  get all() {
    const byName = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    const sorted = [...this.#files].sort(([a], [b]) => byName(a, b));
    return sorted.map(([name, files]) => ({ name, files: [...files].sort((a, b) => byName(a.name, b.name)) }));
  }
}

/** The class of a file of a chosen folder: the folder that it lies in. */
const classOf = (file) => file.webkitRelativePath.split("/").at(-2) ?? "";

/** Every file under a dropped folder, as [class, file]. */
async function filesUnder(entry, parent = "") {
  if (entry.isFile) return [[parent, await new Promise((resolve, reject) => entry.file(resolve, reject))]];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length || found.length > MOST_FILES) return found;
    for (const child of entries) found.push(...(await filesUnder(child, entry.name)));
  }
}

/** Makes the part of the page work; `photos` can use what was trained. */
export function trainingView(machine, photos) {
  const classes = new Classes();
  let network = new NetworkWorker(machine);
  let running = false;
  let stopped = false;
  let trained = null;

  function draw() {
    const all = classes.all;
    $("classes").replaceChildren(
      ...all.map(({ name, files }) => {
        const remove = element("button", { type: "button" }, "Remove");
        remove.setAttribute("aria-label", `Remove the class ${name}`);
        remove.addEventListener("click", () => {
          classes.remove(name);
          draw();
        });
        return element("li", {}, element("strong", {}, name), `: ${count(files.length, "photograph")} `, remove);
      }),
    );
    $("train-start").disabled = running || all.length < 2;
    if (all.length === 1) $("train-status").textContent = "One more class is needed.";
    else if (all.length > 1 && !running) $("train-status").textContent = `${all.length} classes, ready to train.`;
  }

  function addAll(pairs) {
    const byClass = new Map();
    for (const [name, file] of pairs.slice(0, MOST_FILES)) byClass.set(name, [...(byClass.get(name) ?? []), file]);
    let added = 0;
    for (const [name, files] of byClass) added += classes.add(name, files);
    if (!added) $("train-status").textContent = "There is no photograph in that folder.";
    draw();
  }

  /** Features of every photograph; those that can't be read are listed and left out. */
  async function features(all) {
    const total = all.reduce((sum, { files }) => sum + files.length, 0);
    const bar = $("train-bar");
    Object.assign(bar, { hidden: false, max: total, value: 0 });
    const child = await network.child(tellWeights("train-status"));
    await child.ask("newExamples", { labels: all.map(({ name }) => name) });
    const started = performance.now();
    for (const [label, { files }] of all.entries()) {
      for (const file of files) {
        try {
          await child.ask("addExample", { bytes: await bytesOf(file), name: file.name, label }, { seconds: 120 });
        } catch (problem) {
          if (!child.alive) throw problem;
          $("train-skipped").append(element("li", { className: "bad" }, element("strong", {}, problem.message)));
        }
        bar.value += 1;
        const speed = (1000 * bar.value) / (performance.now() - started);
        $("train-status").textContent = `Features: ${bar.value} of ${total} photographs, ${speed.toFixed(1)} a second`;
      }
    }
    return child;
  }

  function progress(told) {
    const share = (value) => `${(100 * value).toFixed(1)} %`;
    if (told.tried) {
      const { number, of, lr, val_accuracy } = told.tried;
      $("train-status").textContent = `Learning rate ${number} of ${of}, ${lr}: ${share(val_accuracy)} right`;
    } else {
      const { epoch, train_loss, val_accuracy } = told.epoch;
      const right = val_accuracy === null ? "" : `, ${share(val_accuracy)} of the photographs kept back right`;
      $("train-status").textContent = `Epoch ${epoch}: loss ${train_loss.toFixed(4)}${right}`;
    }
  }

  async function train() {
    const all = classes.all;
    const child = await features(all);
    $("train-bar").removeAttribute("value");
    const epochs = Number($("epochs").value) || null;
    const summary = JSON.parse(await child.ask("train", { epochs }, { progress }));
    trained = { bytes: await child.ask("model"), labels: summary.labels };
    result(summary);
  }

  function result({ epoch, epochs, learning_rate, train_images, val_images, val_accuracy, confusion, labels }) {
    const right = val_accuracy === null ? "No photograph was kept back to measure it." : `${(100 * val_accuracy).toFixed(1)} % of ${count(val_images, "photograph")} that it was not trained on are right.`;
    $("trained-sentence").textContent = `${right} Trained on ${count(train_images, "photograph")}: ${count(epochs, "epoch")}, of which number ${epoch} is kept, learning rate ${learning_rate}.`;
    const head = element("tr", {}, element("td"), ...labels.map((label) => element("th", { scope: "col" }, label)));
    $("confusion").replaceChildren($("confusion").caption, element("thead", {}, head), element("tbody", {}, ...labels.map((label, i) => row(label, ...confusion[i]))));
    show(true, "trained");
    $("trained").dataset.accuracy = String(val_accuracy);
    $("train-status").textContent = "Done.";
    $("trained").focus();
  }

  $("train-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    [running, stopped] = [true, false];
    $("train-skipped").replaceChildren();
    show(false, "trained", "train-start");
    show(true, "train-stop");
    try {
      await train();
    } catch (problem) {
      $("train-status").textContent = stopped ? "Stopped." : `It could not be trained: ${problem.message}`;
    } finally {
      running = false;
      show(false, "train-bar", "train-stop");
      show(true, "train-start");
      $("train-start").disabled = classes.all.length < 2;
    }
  });
  $("train-stop").addEventListener("click", () => {
    stopped = true;
    network.end();
  });
  for (const id of ["folder", "class-photos"]) $(id).disabled = false;
  $("folder").addEventListener("change", () => {
    addAll([...$("folder").files].map((file) => [classOf(file), file]));
    $("folder").value = "";
  });
  $("class-photos").addEventListener("change", () => {
    const name = $("class-name").value.trim();
    if (!name) $("train-status").textContent = "Name the class first.";
    else addAll([...$("class-photos").files].map((file) => [name, file]));
    $("class-photos").value = "";
  });
  $("class-form").addEventListener("submit", (event) => event.preventDefault());
  dropped("folders-drop", async (data) => {
    // Entries are gone after the event, so they are taken before anything is waited for.
    const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry);
    const found = await Promise.all(entries.map((entry) => filesUnder(entry)));
    addAll(found.flat());
  });
  $("model-save").addEventListener("click", () => save(trained.bytes, "model.safetensors", "application/octet-stream"));
  $("model-use").addEventListener("click", () => {
    photos.use(trained.bytes.slice().buffer, "model.safetensors", trained.labels);
    $("photos").focus();
  });
}
