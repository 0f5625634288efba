// Workers that compute. What a crash, a hang or a lost device ends is a worker, and the page goes on with a new one.

/** Why a worker gave no answer: `kind` is "died" or "timeout". */
export class NoAnswer extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

/** A worker that does one operation at a time. */
export class Child {
  #worker;
  #pending = null;
  #panic = "";

  /** Starts a worker on the compiled WebAssembly module. */
  static async start(module) {
    const child = new Child();
    await child.ask("load", { module }, { seconds: 60 });
    return child;
  }

  constructor() {
    this.#worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#die(event.message);
    };
    this.#worker.onmessageerror = () => this.#die("a message could not be read");
  }

  /**
   * Has the worker do `operation`.
   * An Error that the operation throws is thrown here. NoAnswer is thrown if the worker dies, or takes longer than `seconds`, and then
   * the worker is ended. `progress` receives what the operation tells meanwhile; the buffers of `transfer` move to the worker.
   */
  ask(operation, input = {}, { seconds = 0, transfer = [], progress = () => {} } = {}) {
    if (!this.#worker) return Promise.reject(new NoAnswer("died", "the worker has ended"));
    if (this.#pending) return Promise.reject(new Error(`the worker is busy with ${this.#pending.operation}`));
    return new Promise((resolve, reject) => {
      const late = () => this.#fail(new NoAnswer("timeout", `it was stopped after ${seconds} s`));
      const timer = seconds > 0 ? setTimeout(late, seconds * 1000) : 0;
      this.#pending = { operation, resolve, reject, progress, timer };
      this.#worker.postMessage({ operation, input }, transfer);
    });
  }

  /** Whether it still runs. */
  get alive() {
    return this.#worker !== null;
  }

  /** Ends the worker, also in the middle of an operation. */
  end(why = "the worker was stopped") {
    this.#fail(new NoAnswer("died", why));
  }

  #receive(message) {
    if ("panicked" in message) {
      this.#panic = message.panicked;
    } else if ("died" in message) {
      this.#die(message.died);
    } else if ("progress" in message) {
      this.#pending?.progress(message.progress);
    } else if (this.#pending) {
      const { resolve, reject, timer } = this.#pending;
      clearTimeout(timer);
      this.#pending = null;
      if ("error" in message) reject(new Error(message.error));
      else resolve(message.output);
    }
  }

  #die(message) {
    this.#fail(new NoAnswer("died", this.#panic || message || "it gave no reason"));
  }

  #fail(problem) {
    this.#worker?.terminate();
    this.#worker = null;
    const pending = this.#pending;
    this.#pending = null;
    if (pending) {
      clearTimeout(pending.timer);
      pending.reject(problem);
    }
  }
}
