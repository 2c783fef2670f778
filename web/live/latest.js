// Runs that follow what is edited: at most one in flight, and the latest state always has the last.

// Milliseconds. A run that is out of date may finish where it is so near its end: cutting it off and
// beginning anew would hardly be sooner.
const NEAR = 100;
// After a pause has been waited for, only where it is as good as there
const AT_ITS_END = 20;
// While somebody edits without a break, a picture is let through after so long without one ...
const STARVED = 700;
// ... unless no edit came for a little longer than they usually do, so that nobody types any more
const PAUSE = 1.04; // of the time between edits
const SHORTEST_PAUSE = 120;
const LONGEST_PAUSE = 400;
// Nobody types so fast: edits closer than this come from a slider, whose pictures are all let through
const RAPID = 80;
// Before a run, its tenth of the run time is waited for further edits, never longer than this
const DEBOUNCE = 80;

/** Decides when a run begins and when one that is out of date is cut off. */
export class Latest {
  #run = null; // { began, isLetThrough }
  #isWanted = false;
  #wantedSince = 0;
  #duration = null; // of a whole run, as it was measured
  #shown = -Infinity;
  #edit = -Infinity; // the last one
  #gap = 0; // between edits, usually
  #isDragged = false; // by the last edit
  #forget = () => {}; // what waits for its time

  /**
   * begin() and cut() are called when it is time; who is cut off says so by ended(). now() gives
   * milliseconds, later(milliseconds, act) a function that takes it back.
   */
  constructor({ begin, cut, now = () => performance.now(), later = inTime }) {
    Object.assign(this, { begin, cut, now, later });
  }

  /** Milliseconds of a whole run, null until one has finished. */
  get duration() {
    return this.#duration;
  }

  /** The state has changed; isDragged while a pointer is held down, which more edits will follow. */
  edited(isDragged = false) {
    if (!this.#isWanted) this.#wantedSince = this.now();
    this.#isWanted = true;
    this.#isDragged = isDragged;
    this.#forget();
    const gap = this.now() - this.#edit;
    // a longer one is a break
    if (gap < LONGEST_PAUSE) this.#gap = this.#gap ? (3 * this.#gap + gap) / 4 : gap;
    this.#edit = this.now();
    if (this.#run && this.#isSteady()) this.#run.isLetThrough = true;
    if (!this.#run && !this.#debounce()) this.#start();
    else if (!this.#run) this.#after(this.#debounce(), () => this.#start());
    else if (isDragged) this.#forget = () => {};
    else if (this.#run.isLetThrough) this.#after(this.#pause(), () => this.#cutUnless(AT_ITS_END));
    else this.#after(0, () => this.#cutUnless(NEAR));
  }

  /** The pointer that dragged is let go of: no more edits follow. */
  settle() {
    this.#isDragged = false;
    if (this.#isWanted) this.#cutUnless(AT_ITS_END);
  }

  /** The run has begun on the server, which may have had others to do before. */
  begun() {
    if (this.#run) this.#run.began = this.now();
  }

  /** The run has ended; isShown where its picture was seen. */
  ended(isShown) {
    if (!this.#run) return;
    if (isShown) {
      const took = this.now() - this.#run.began;
      // half of what is new, so that one slow run does not slow all that follow
      this.#duration = this.#duration === null ? took : (this.#duration + took) / 2;
      this.#shown = this.now();
    }
    this.#run = null;
    this.#forget();
    if (this.#isWanted) this.#start();
  }

  /** Forget everything that waits; a run in flight is no longer known. */
  stop() {
    this.#forget();
    this.#run = null;
    this.#isWanted = false;
  }

  /** What is left to wait; on a busy page edits are seen so late that it must not begin anew with each. */
  #debounce() {
    if (this.#isSteady()) return 0;
    const whole = Math.min(DEBOUNCE, (this.#duration ?? 0) / 10);
    return Math.max(0, whole - (this.now() - this.#wantedSince));
  }

  #pause() {
    return Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, PAUSE * this.#gap));
  }

  #cutUnless(near) {
    if (!this.#run) return;
    const left = (this.#duration ?? Infinity) - (this.now() - this.#run.began);
    if (left > near) this.cut();
  }

  #start() {
    if (this.#run || !this.#isWanted) return;
    this.#isWanted = false;
    const isLetThrough =
      this.#duration === null || this.now() - this.#shown > STARVED || this.#isSteady();
    this.#run = { began: this.now(), isLetThrough };
    this.begin();
  }

  /** Whether edits come one upon another, as from a slider. */
  #isSteady() {
    return this.#isDragged || (this.#gap > 0 && this.#gap < RAPID);
  }

  #after(milliseconds, act) {
    this.#forget = this.later(milliseconds, act);
  }
}

function inTime(milliseconds, act) {
  const timer = setTimeout(act, milliseconds);
  return () => clearTimeout(timer);
}
