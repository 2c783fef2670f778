// Live's own line to the server. With every message about a run, the page draws much anew and asks for
// the whole queue, which can take longer than a quick run itself; so it follows only those that last.
import { api } from "/scripts/api.js";
import { newId } from "./runs.js";

// milliseconds after which the page follows a run as any other
const QUICK = 1000;
// how far a run has come
const OF_A_RUN = new Set([
  "execution_start",
  "execution_cached",
  "executing",
  "progress",
  "progress_state",
  "execution_success",
  "execution_interrupted",
]);
// what is shown on nodes, however quick the run; the page hears all else by its own line
const ON_NODES = new Set([
  "executed",
  "execution_error",
  "fewstep.facts",
  "fewstep.passes",
  "progress_text",
  "b_preview_with_metadata",
]);
const ENDS = new Set(["execution_success", "execution_interrupted", "execution_error"]);
// of ComfyUI's BinaryEventTypes
const TEXT = 3;
const PICTURE = 4;

/** A websocket of its own: the server tells it of the runs that were asked for by its id. */
export class Line {
  /** The client_id to ask by; null while there is none. */
  id = null;
  #socket = null;
  #isFollowed = false; // by the page
  #kept = new Map(); // what the page was not told of the run, the latest of each type
  #timer = null;

  /**
   * heard(type, detail) is called with what the page is not told, or not yet; what it is told, it says
   * to everybody. lost() is called when the line is broken: no more is heard of what runs.
   */
  constructor({ heard, lost }) {
    Object.assign(this, { heard, lost });
  }

  /** Have it, as soon as there is a server. */
  open() {
    if (this.#socket || !api.socket) return;
    const id = newId();
    const address = new URL(api.socket.url);
    address.searchParams.set("clientId", id);
    this.#socket = new WebSocket(address);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => (this.id = id);
    this.#socket.onmessage = ({ data }) => this.#hear(read(data));
    this.#socket.onclose = () => this.#close();
  }

  #close() {
    const wasOpen = this.id !== null;
    this.id = this.#socket = null;
    clearTimeout(this.#timer);
    if (wasOpen) this.lost();
  }

  #hear({ type, detail }) {
    if (ENDS.has(type)) clearTimeout(this.#timer);
    if (type === "execution_start") this.#begin();
    if (ON_NODES.has(type) || (this.#isFollowed && OF_A_RUN.has(type))) {
      api.dispatchCustomEvent(type, detail);
    } else if (OF_A_RUN.has(type)) {
      this.#kept.set(type, detail);
      this.heard(type, detail);
    }
  }

  #begin() {
    this.#kept.clear();
    this.#isFollowed = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#follow(), QUICK);
  }

  #follow() {
    this.#isFollowed = true;
    for (const [type, detail] of this.#kept) api.dispatchCustomEvent(type, detail);
  }
}

/** { type, detail } of a message, as the page makes an event of it. */
function read(data) {
  if (data instanceof ArrayBuffer) return readBinary(data);
  const { type, data: detail } = JSON.parse(data);
  return { type, detail: type === "executing" ? detail.display_node || detail.node : detail };
}

/** Two numbers of 32 bits, the type and the length of what follows; then that, and the rest. */
function readBinary(data) {
  const view = new DataView(data);
  const type = view.getUint32(0);
  if (type !== TEXT && type !== PICTURE) return {};
  const end = 8 + view.getUint32(4);
  const words = (bytes) => new TextDecoder().decode(bytes);
  const told = words(data.slice(8, end));
  const rest = data.slice(end);
  if (type === TEXT) return { type: "progress_text", detail: { nodeId: told, text: words(rest) } };
  const { image_type, node_id, display_node_id, prompt_id } = JSON.parse(told);
  const blob = new Blob([rest], { type: image_type });
  const detail = { blob, nodeId: node_id, displayNodeId: display_node_id, jobId: prompt_id };
  return { type: "b_preview_with_metadata", detail };
}
