// Runs that follow what is edited: at most one in flight and one waiting, and the latest state always
// has the last.

// Milliseconds. A run that is out of date may finish where it is so near its end: cutting it off and
// beginning anew would hardly be sooner.
const NEAR = 100;
// After a pause has been waited for, only where it is as good as there
const AT_ITS_END = 20;
// Where edits go on until the run in flight ends, the next one is asked for before that: as long before as
// asking takes, so that the server has it when it is free, but at most so long. No sooner, as what is
// asked for is out of date by that, and the page draws its queue anew for every run that waits.
const AHEAD = 150;
// While somebody edits without a break, a picture is let through after so long without one ...
const STARVED = 650;
// ... unless no edit came for a little longer than they usually do, so that nobody types any more
const PAUSE = 1.04; // of the time between edits
const SHORTEST_PAUSE = 120;
const LONGEST_PAUSE = 400;
// Nobody types so fast: edits closer than this come from a slider, whose pictures are all let through
const RAPID = 80;
// Before a run, its tenth of the run time is waited for further edits, never longer than this
const DEBOUNCE = 80;

/** Decides when a run is asked for and when one that is out of date is cut off. */
export class Latest {
  #runs = []; // [{ run, asked, since, hasBegun, isLetThrough, isCut }], in flight first, then waiting
  #isWanted = false;
  #wantedSince = 0;
  #duration = null; // of a whole run, as it was measured
  #asking = 0; // until the server has a run, the same
  #shown = -Infinity;
  #edit = -Infinity; // the last one
  #gap = 0; // between edits, usually
  #isDragged = false; // by the last edit
  #planned = []; // take back what waits for its time

  /**
   * begin() and cut(run) are called when it is time; begin() gives a name to its run, by which queued(),
   * begun() and ended() tell of it, also where it was cut off. now() gives milliseconds, later(milliseconds,
   * act) a function that takes it back.
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
    const gap = this.now() - this.#edit;
    // a longer one is a break
    if (gap < LONGEST_PAUSE) this.#gap = this.#gap ? (3 * this.#gap + gap) / 4 : gap;
    this.#edit = this.now();
    this.#plan();
  }

  /** The pointer that dragged is let go of: no more edits follow. */
  settle() {
    this.#isDragged = false;
    if (!this.#isWanted || !this.#runs.length) return;
    this.#renew(AT_ITS_END);
  }

  /** The server has the run, and does it when it has done those before. */
  queued(run) {
    const known = this.#find(run);
    if (known) this.#asking = halfway(this.#asking, this.now() - known.asked);
  }

  /**
   * The run has begun on the server, which may have had others to do before. Of one that lasts it is
   * said again, when the page begins to follow it.
   */
  begun(run) {
    const known = this.#find(run);
    if (!known || known.hasBegun) return;
    Object.assign(known, { since: this.now(), hasBegun: true });
    if (this.#isWanted) this.#plan();
  }

  /** The run has ended; isShown where its picture was seen. */
  ended(run, isShown) {
    const known = this.#find(run);
    if (!known) return;
    if (isShown) {
      this.#duration = halfway(this.#duration, this.now() - known.since);
      this.#shown = this.now();
    }
    this.#runs = this.#runs.filter((one) => one !== known);
    // what an edit has waited for is over
    if (this.#isWanted && !this.#runs.length) this.#start();
  }

  /** Forget everything that waits; runs in flight are no longer known. */
  stop() {
    this.#forget();
    this.#runs = [];
    this.#isWanted = false;
  }

  /** What is to be done about the latest edit, and when. */
  #plan() {
    this.#forget();
    const [first, waiting] = this.#runs;
    if (!first) {
      this.#after(this.#debounce(), () => this.#start());
    } else if (this.#isSteady()) {
      first.isLetThrough = true;
      if (!this.#isDragged) this.#after(this.#pause(), () => this.settle());
      // unless edits have ceased: then the one in flight is soon cut off instead
      const goesOn = () => this.#isDragged || this.now() - this.#edit < RAPID;
      this.#askAhead(() => goesOn() && this.#start());
    } else {
      if (first.isLetThrough) this.#after(this.#pause(), () => this.#renew(AT_ITS_END));
      else this.#renew(NEAR);
      const isBeforeNext = this.now() + this.#left() < this.#edit + this.#gap;
      // never a third
      if (!waiting && isBeforeNext) this.#askAhead(() => this.#start());
    }
  }

  /** Ask so soon that the run waits on the server when the one in flight has ended. */
  #askAhead(ask) {
    const [first, waiting] = this.#runs;
    // of one that has not begun nobody knows the end
    if (!first.hasBegun || waiting) return;
    this.#after(this.#left() - Math.min(AHEAD, this.#asking), ask);
  }

  /**
   * Cut off the one in flight, unless its end is soon enough, and have the latest state wait behind
   * it, which saves the way to the page and back.
   */
  #renew(near) {
    const [first] = this.#runs;
    // what waits behind one that was cut off begins at any moment
    if (first.isCut) return;
    const hadWaiting = this.#dropWaiting();
    if (!first.hasBegun || this.#left() <= near) return;
    first.isCut = true;
    this.cut(first.run);
    // never a third
    if (!hadWaiting) this.#start();
  }

  /** One that waits and is out of date has cost nothing yet; whether there was one. */
  #dropWaiting() {
    const [waiting] = this.#runs.splice(1);
    if (waiting) this.cut(waiting.run);
    return waiting !== undefined;
  }

  #start() {
    this.#forget();
    if (!this.#isWanted) return;
    this.#isWanted = false;
    // what waits behind a run that finishes has a picture before it
    const isFed = this.#runs.some((one) => !one.isCut);
    const isStarved = !isFed && this.now() - this.#shown > STARVED;
    const isLetThrough = this.#duration === null || isStarved || this.#isSteady();
    const asked = this.now();
    const known = { asked, since: asked, hasBegun: false, isLetThrough, isCut: false };
    this.#runs.push(known);
    known.run = this.begin();
  }

  /** Milliseconds until the run in flight will have ended. */
  #left() {
    return (this.#duration ?? Infinity) - (this.now() - this.#runs[0].since);
  }

  /** What is left to wait; on a busy page edits are seen so late that it must not begin anew with each. */
  #debounce() {
    if (this.#isSteady()) return 0;
    const whole = Math.min(DEBOUNCE, (this.#duration ?? 0) / 10);
    return Math.max(0, whole - (this.now() - this.#wantedSince));
  }

  /** What is left of the time after which nobody edits any more. */
  #pause() {
    const whole = Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, PAUSE * this.#gap));
    return whole - (this.now() - this.#edit);
  }

  /** Whether edits come one upon another, as from a slider. */
  #isSteady() {
    return this.#isDragged || (this.#gap > 0 && this.#gap < RAPID);
  }

  #find(run) {
    return this.#runs.find((one) => one.run === run);
  }

  #after(milliseconds, act) {
    if (milliseconds <= 0) act();
    else if (milliseconds < Infinity) this.#planned.push(this.later(milliseconds, act));
  }

  #forget() {
    for (const takeBack of this.#planned.splice(0)) takeBack();
  }
}

/** Half of what is new, so that one slow run does not slow all that follow. */
function halfway(known, latest) {
  return known ? (known + latest) / 2 : latest;
}

function inTime(milliseconds, act) {
  const timer = setTimeout(act, milliseconds);
  return () => clearTimeout(timer);
}
