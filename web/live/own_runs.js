// Live's own runs on the server: in flight, waiting, and those that were taken back.
import { ask, forget, interrupt, takeBack, takeBackAtOnce } from "./runs.js";

/** Nobody else's run is ever touched. */
export class OwnRuns {
  #runs = []; // [{ id, hasBegun, isShown, passes, prompt }], in flight first, then waiting
  #unnamed = new Set(); // those that the server has not named yet
  // those that were taken back, by id; one may begin all the same, between the question and the answer
  #dropped = new Map();

  /** gone(run) is called when one that was taken back neither waits nor runs any more. */
  constructor({ gone }) {
    this.gone = gone;
  }

  /** The run in flight, if any. */
  get first() {
    return this.#runs[0];
  }

  /** The run of that id, undefined where it is none of ours, or none any more. */
  of(id) {
    return this.#runs.find((run) => run.id !== null && run.id === id);
  }

  /** Whether a run of that id may be ours; the server may be faster with a run than with its name. */
  mayBeOurs(id) {
    return this.#unnamed.size > 0 || this.of(id) !== undefined;
  }

  /** Whether one has to wait for the server's answer to know whose run that is. */
  isUncertain(id) {
    return this.#unnamed.size > 0 && !this.#dropped.has(id) && this.of(id) === undefined;
  }

  /** Whether the run of that id was taken back and has not ended yet. */
  hasDropped(id) {
    return this.#dropped.has(id);
  }

  /** A run that is yet to be asked for. */
  make() {
    const run = { id: null, hasBegun: false, isShown: false, passes: 0, prompt: null };
    this.#runs.push(run);
    return run;
  }

  /** Ask the server for a run; find() says for what: { prompt, targets }. Throws what ask() throws. */
  async ask(run, find) {
    this.#unnamed.add(run);
    try {
      const { prompt, targets } = await find();
      // cut off in the meantime
      if (!this.has(run)) return this.gone(run);
      run.prompt = prompt;
      run.id = await ask(prompt, targets);
    } finally {
      this.#unnamed.delete(run);
    }
    // it was cut off before the server had named it
    if (!this.has(run)) this.#takeBack(run);
  }

  has(run) {
    return this.#runs.includes(run);
  }

  /** Take a run back, whether it waits or runs. */
  drop(run) {
    this.remove(run);
    if (run.id !== null) this.#takeBack(run);
  }

  dropAll() {
    for (const run of [...this.#runs]) this.drop(run);
  }

  /** The same from a page that is being closed. */
  dropAllAtOnce() {
    for (const { id } of this.#runs) if (id !== null) takeBackAtOnce(id);
  }

  /** Know a run no longer that is not there to be taken back. */
  remove(run) {
    this.#runs = this.#runs.filter((one) => one !== run);
  }

  /** There is no server that could know of any. */
  removeAll() {
    this.#runs = [];
  }

  /** A run has begun: the run, if it is ours; one that was taken back is cut off. */
  begun(id) {
    if (this.#dropped.has(id)) interrupt(id);
    const run = this.of(id);
    if (run) run.hasBegun = true;
    return run;
  }

  /** A run has ended: the run, if it is ours and was not taken back. */
  ended(id) {
    const [run, dropped] = [this.of(id), this.#dropped.get(id)];
    if (run || dropped) forget(id);
    this.remove(run);
    this.#dropped.delete(id);
    if (dropped) this.gone(dropped);
    return run;
  }

  async #takeBack(run) {
    // of one that never begins nobody hears again; the workflow that it was of is not kept for it
    run.prompt = null;
    this.#dropped.set(run.id, run);
    if (run.hasBegun) {
      interrupt(run.id);
      return;
    }
    await takeBack(run.id);
    // one that has not begun ends without a word
    this.gone(run);
  }
}
