// A verification: the parent of workers that run cases, as `gpu-resnet verify` is the parent of processes.
// It follows src/verify/worker.rs: a worker that died, hung or lost its device is replaced, and its case runs again, alone.

import { NoAnswer } from "./child.js";

/** How many times longer than a case a negative control may take at its second attempt. */
const PATIENCE = 4;

/** How often the adapter is opened before it counts as gone, and the pause between, in milliseconds: a browser restarts what crashed. */
const OPENINGS = 4;
const PAUSE = 1500;
/** Opening the adapter may take as long as a case, but at least so many seconds. */
const OPENING = 5;

/** Thrown where the run can't continue: the visitor stops it, or the adapter is gone. `result` is that of a case which was to run again. */
class Stopped extends Error {
  constructor(message, result = null) {
    super(message);
    this.result = result;
  }
}

export class Verification {
  #child = null;
  #stopped = false;
  /** Controls that have run. */
  #ran = new Set();

  /**
   * @param start   opens a new worker on the adapter, in at most so many seconds
   * @param clerk   a worker without an adapter, for results of cases that gave no answer
   * @param options suite, filter, seconds (limit of a case), browser (its name)
   * @param watch   { plan, fingerprint, control, case }: called with what there is to do, and with each result
   */
  constructor(start, clerk, options, watch) {
    Object.assign(this, { start, clerk, options, watch });
  }

  /** Stops as soon as possible. */
  stop() {
    this.#stopped = true;
    this.#child?.end("the run was stopped");
  }

  /** Runs everything, and resolves to the report in its forms: verdict, sentence, json, markdown. */
  async run() {
    const { suite, filter, browser } = this.options;
    const started = performance.now();
    try {
      this.#child = await this.start(Math.max(OPENING, this.options.seconds));
      const [adapter, capabilities] = (await this.#ask("describe")).description;
      const plan = JSON.parse(await this.#child.ask("plan", { suite, filter }));
      this.watch.plan(plan);
      const collected = { suite, filter: filter || null, browser, adapter, capabilities, controls: [], cases: [], fingerprint: null };
      let ended = "";
      try {
        await this.#all(plan, collected);
      } catch (problem) {
        if (!(problem instanceof Stopped)) throw problem;
        ended = problem.message;
        if (problem.result) this.#add(collected, problem.result);
      }
      const seconds = (performance.now() - started) / 1000;
      Object.assign(collected, { left_out: plan.cases.length - collected.cases.length, seconds });
      await this.#notRun(plan, collected, ended);
      return { ...JSON.parse(await this.clerk.ask("report", { collected })), ended };
    } finally {
      this.#child?.end();
    }
  }

  async #all(plan, collected) {
    collected.fingerprint = await this.#fingerprint();
    this.watch.fingerprint(collected.fingerprint);
    for (const { name } of plan.controls) {
      const result = await this.#control(name);
      this.#ran.add(name);
      // None where the adapter can't run the kernel.
      if (result) collected.controls.push(result);
      this.watch.control(name, result);
    }
    for (const { line } of plan.cases) {
      this.#add(collected, await this.#case(line));
    }
  }

  #add(collected, result) {
    collected.cases.push(result);
    this.watch.case(result);
  }

  /** Controls that did not run make a run invalid. */
  async #notRun(plan, collected, ended) {
    for (const { name } of plan.controls.filter((control) => !this.#ran.has(control.name))) {
      const input = { name, message: `it did not run: ${ended}` };
      collected.controls.push(JSON.parse(await this.clerk.ask("unansweredControl", input)));
    }
  }

  /** Sends a task to the worker, or to a new one. A worker that gives no answer is gone. */
  async #ask(task, seconds = this.options.seconds) {
    if (!this.#child?.alive) this.#child = await this.#opened();
    try {
      return JSON.parse(await this.#child.ask("task", { task }, { seconds }));
    } catch (problem) {
      if (this.#stopped) throw new Stopped("the run was stopped");
      throw problem;
    }
  }

  /** A new worker on the adapter. */
  async #opened() {
    for (let opening = 1; ; opening += 1) {
      if (this.#stopped) throw new Stopped("the run was stopped");
      try {
        return await this.start(Math.max(OPENING, this.options.seconds));
      } catch (problem) {
        // What does not answer at all will not do so later: its work never ends.
        if (opening === OPENINGS || problem.kind === "timeout") throw new Stopped(`the adapter can't be opened any more: ${problem.message}`);
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    }
  }

  async #fingerprint() {
    try {
      return (await this.#ask("fingerprint")).fingerprint ?? null;
    } catch (problem) {
      if (problem instanceof NoAnswer) return null;
      throw problem;
    }
  }

  async #control(name) {
    const missed = async (message) => JSON.parse(await this.clerk.ask("unansweredControl", { name, message }));
    let limit = this.options.seconds;
    for (;;) {
      try {
        const answer = await this.#ask({ control: name }, limit);
        return "control" in answer ? answer.control : await missed(`it could not run: ${JSON.stringify(answer)}`);
      } catch (problem) {
        if (!(problem instanceof NoAnswer)) throw problem;
        // A compiler that is slow on a busy machine would make the run invalid.
        if (problem.kind !== "timeout" || limit > this.options.seconds) return missed(problem.message);
        limit *= PATIENCE;
      }
    }
  }

  async #case(line) {
    const fresh = !this.#child?.alive;
    const { result: first, alive } = await this.#attempt(line);
    if (alive || fresh) return first;
    const { result: again } = await this.#attempt(line).catch((problem) => {
      throw problem instanceof Stopped && !this.#stopped ? new Stopped(problem.message, first) : problem;
    });
    if (again.status !== first.status) {
      const before = `after other cases it ended as ${first.status}: ${first.message}`;
      again.message = again.message ? `${again.message}; ${before}` : before;
    }
    return again;
  }

  /** The result, and whether its worker can continue. */
  async #attempt(line) {
    const failed = async (status, message) => JSON.parse(await this.clerk.ask("unansweredCase", { line, status, message }));
    try {
      const answer = await this.#ask({ case: line });
      if (!("case" in answer)) return { result: await failed("fail", `it could not run: ${JSON.stringify(answer)}`), alive: true };
      const alive = !["oom", "device-lost"].includes(answer.case.status);
      if (!alive) this.#child.end();
      return { result: answer.case, alive };
    } catch (problem) {
      if (!(problem instanceof NoAnswer)) throw problem;
      const status = problem.kind === "timeout" ? "timeout" : "crash";
      const message = status === "crash" ? `its worker died (${problem.message})` : problem.message;
      return { result: await failed(status, message), alive: false };
    }
  }
}
