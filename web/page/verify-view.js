// The part of the page that shows a verification.

import { $, count, duration, element, row, save, show } from "./dom.js";
import { Verification } from "./verification.js";

/** A screen reader is told of the progress this often, in milliseconds. */
const TELL_EVERY = 10_000;
const GOOD = ["pass", "unsupported"];

/** Whether a result is what it should be: what the browser version of `CaseResult::is_unexpected` knows before the report. */
const isGood = (result) => GOOD.includes(result.status);

/** A share of the tolerance in per cent. */
function percent(share) {
  if (share === null || share === undefined) return "–";
  if (typeof share !== "number") return String(share);
  return share === 0 ? "0 %" : share < 0.001 ? "< 0.1 %" : `${(share * 100).toPrecision(2)} %`;
}

/** What is shown of a running verification. */
class View {
  #operations = new Map();
  #done = 0;
  #total = 0;
  #caught = 0;
  #controls = 0;
  #bad = 0;
  #started = performance.now();
  #told = 0;

  constructor() {
    for (const id of ["failures", "operations", "controls", "fingerprint"]) $(id).replaceChildren();
    show(false, "verdict", "failures-part");
    show(true, "verify-progress", "results");
    $("report-copied").textContent = "";
    $("verify-status").textContent = "Opening the adapter …";
    $("verify-bar").removeAttribute("value");
  }

  plan({ cases, controls }) {
    this.#total = cases.length + controls.length;
    this.#controls = controls.length;
    $("verify-bar").max = this.#total;
    for (const { op } of cases) {
      if (!this.#operations.has(op)) this.#operations.set(op, { cases: 0, pass: 0, bad: 0, unsupported: 0, worst: null, row: row(op, "", "", "", "", "") });
      this.#operations.get(op).cases += 1;
    }
    for (const state of this.#operations.values()) {
      $("operations").append(state.row);
      this.#draw(state);
    }
    this.#progress();
  }

  fingerprint(fingerprint) {
    const probes = fingerprint?.probes ?? [];
    $("fingerprint").replaceChildren(...probes.map((probe) => row(probe.name, probe.value)));
  }

  control(name, result) {
    this.#done += 1;
    if (!result) this.#controls -= 1;
    else if (result.caught) this.#caught += 1;
    const how = !result ? "not supported here" : result.caught ? `caught by ${result.caught_by}` : `not caught: ${result.message}`;
    $("controls").append(element("li", { className: result && !result.caught ? "bad" : "" }, element("strong", {}, name), ` – ${how}`));
    $("controls-summary").textContent = `Kernels broken on purpose: ${this.#caught} of ${this.#controls} caught`;
    this.#progress();
  }

  case(result) {
    this.#done += 1;
    const state = this.#operations.get(result.op);
    if (result.status === "pass") state.pass += 1;
    else if (result.status === "unsupported") state.unsupported += 1;
    else state.bad += 1;
    if (typeof result.share === "number" && !(state.worst > result.share)) state.worst = result.share;
    this.#draw(state);
    if (!isGood(result)) this.#failure(result);
    this.#progress();
  }

  /** The end: what the report says. */
  report({ verdict, sentence, ended }) {
    show(false, "verify-progress");
    show(true, "verdict");
    $("verdict").className = `notice ${verdict === "Pass" ? "good" : "bad"}`;
    $("verdict").dataset.verdict = verdict;
    $("verdict-word").textContent = verdict;
    $("verdict-sentence").textContent = ended ? `${sentence} Not everything was run: ${ended}.` : sentence;
    $("verdict").focus();
  }

  #failure(result) {
    this.#bad += 1;
    show(true, "failures-part");
    const item = element("li", { className: "bad" }, element("strong", {}, result.status), " ", element("code", {}, result.id), ` ${result.message}`);
    $("failures").append(item);
  }

  #draw({ row, cases, pass, bad, unsupported, worst }) {
    [cases, pass, bad, unsupported, percent(worst)].forEach((value, i) => (row.cells[i + 1].textContent = value));
    row.cells[3].className = bad ? "bad" : "";
  }

  #progress() {
    const seconds = (performance.now() - this.#started) / 1000;
    const left = this.#done ? `, about ${duration((seconds * (this.#total - this.#done)) / this.#done)} left` : "";
    const bad = this.#bad ? `, ${this.#bad} bad` : "";
    const text = `${this.#done} of ${this.#total} cases and controls${bad}${left}`;
    $("verify-bar").value = this.#done;
    $("verify-status").textContent = text;
    if (performance.now() - this.#told > TELL_EVERY) {
      this.#told = performance.now();
      $("verify-live").textContent = text;
    }
  }
}

/** Makes the form work: `machine` starts workers and knows the browser. */
export function verifyView(machine) {
  let running = null;
  let forms = null;
  $("verify-start").disabled = false;
  $("verify-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    show(false, "verify-start");
    show(true, "verify-stop");
    const view = new View();
    const options = { suite: $("suite").value, filter: $("filter").value.trim(), seconds: Number($("seconds").value) || 60, browser: machine.browser };
    try {
      const clerk = await machine.worker();
      running = new Verification((seconds) => machine.opened(seconds), clerk, options, view);
      forms = await running.run();
      view.report(forms);
      clerk.end();
    } catch (problem) {
      show(false, "verify-progress");
      show(true, "failures-part");
      $("failures").prepend(element("li", { className: "bad" }, `The verification could not run: ${problem.message}`));
    } finally {
      running = null;
      show(true, "verify-start");
      show(false, "verify-stop");
    }
  });
  $("verify-stop").addEventListener("click", () => running?.stop());
  $("report-save").addEventListener("click", () => save(forms.json, "gpu-resnet-verify.json", "application/json"));
  $("report-copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(forms.markdown);
      $("report-copied").textContent = `${count(forms.markdown.length, "character")} are in the clipboard.`;
    } catch {
      save(forms.markdown, "gpu-resnet-verify.md", "text/markdown");
      $("report-copied").textContent = "The clipboard can't be used here, so it was downloaded.";
    }
  });
}
