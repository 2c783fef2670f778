// Live's own runs on the server: in flight, waiting, and those that were taken back.
import { ask, forget, interrupt, newId, takeBack, takeBackAtOnce } from "./runs.js";

/** Nobody else's run is ever touched. */
export class OwnRuns {
  // [{ id, isThere, hasBegun, isShown, passes, steps, prompt }], in flight first, then waiting
  #runs = [];
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
    return this.#runs.find((run) => run.id === id);
  }

  /** Whether the run of that id was taken back and has not ended yet. */
  hasDropped(id) {
    return this.#dropped.has(id);
  }

  /** A run that is yet to be asked for. */
  make() {
    const state = { isThere: false, hasBegun: false, isShown: false, prompt: null };
    const run = { id: newId(), ...state, passes: 0, steps: {} };
    this.#runs.push(run);
    return run;
  }

  /**
   * Ask the server for a run; find() says for what, and who is told of it: { prompt, targets, client }.
   * Throws what ask() throws.
   */
  async ask(run, find) {
    const { prompt, targets, client } = await find();
    // cut off in the meantime
    if (!this.has(run)) {
      this.#dropped.delete(run.id);
      return this.gone(run);
    }
    run.prompt = prompt;
    await ask(run.id, prompt, targets, client);
    run.isThere = true;
    // it was cut off before there was anything to take back
    if (this.#dropped.has(run.id) && !run.hasBegun) this.#takeBack(run);
  }

  has(run) {
    return this.#runs.includes(run);
  }

  /** Take a run back, whether it waits or runs. */
  drop(run) {
    this.remove(run);
    // of one that never begins nobody hears again; the workflow that it was of is not kept for it
    run.prompt = null;
    this.#dropped.set(run.id, run);
    if (run.isThere || run.hasBegun) this.#takeBack(run);
  }

  dropAll() {
    for (const run of [...this.#runs]) this.drop(run);
  }

  /** The same from a page that is being closed. */
  dropAllAtOnce() {
    for (const { id } of this.#runs) takeBackAtOnce(id);
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
    const [run, dropped] = [this.of(id), this.#dropped.get(id)];
    if (dropped) {
      dropped.hasBegun = true;
      interrupt(id);
    }
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
    if (run.hasBegun) {
      interrupt(run.id);
      return;
    }
    await takeBack(run.id);
    // one that has not begun ends without a word
    this.gone(run);
  }
}
