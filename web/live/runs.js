// Live's runs on the server: asked for, taken back, and what is said of them.
import { api } from "/scripts/api.js";

/** There is nobody who could run anything. */
export class Unreachable extends Error {}

/** The server does not take the prompt; answer is what it says of it, if that can be read. */
class Refused extends Error {
  constructor({ status, statusText }, answer) {
    super(`${status} ${statusText}`);
    this.answer = answer;
  }
}

/** A name for a run, as the server would give it; crypto.randomUUID needs https or this machine. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}

/**
 * Queue a prompt up to its targets, as the page's own function does, but by an id that is known
 * before: the server is often done with a run before the page has read the answer. It tells of the
 * run who is called client.
 */
export async function ask(id, { output, workflow }, targets, client) {
  const content = {
    client_id: client,
    prompt_id: id,
    prompt: output,
    partial_execution_targets: targets,
    extra_data: {
      extra_pnginfo: { workflow },
      // for nodes that ask a service
      auth_token_comfy_org: api.authToken,
      api_key_comfy_org: api.apiKey,
    },
  };
  let answer;
  try {
    answer = await send("/prompt", content);
  } catch (error) {
    throw new Unreachable(error.message);
  }
  if (!answer.ok) throw new Refused(answer, await answer.json().catch(() => null));
}

/** Take one run back that may have begun; over when it neither waits nor runs. */
export function takeBack(id) {
  return Promise.all([post("/queue", { delete: [id] }), interrupt(id)]);
}

/** Cut off one run, if it is the one that runs. */
export function interrupt(id) {
  return post("/interrupt", { prompt_id: id });
}

function post(path, content) {
  return send(path, content).catch(() => {});
}

function send(path, content) {
  const headers = { "Content-Type": "application/json" };
  return api.fetchApi(path, { method: "POST", headers, body: JSON.stringify(content) });
}

/** The same from a page that is being closed. */
export function takeBackAtOnce(id) {
  const tell = (path, content) => navigator.sendBeacon(api.apiURL(path), JSON.stringify(content));
  tell("/queue", { delete: [id] });
  tell("/interrupt", { prompt_id: id });
}

// milliseconds after which the server has surely written down what has ended
const WRITTEN = 1000;
let ended = [];
let isWaiting = false;

/**
 * Have a run that has ended left out of the server's history: each holds a whole workflow in memory,
 * thousands of them a quarter of an hour.
 */
export function forget(id) {
  ended.push(id);
  if (isWaiting) return;
  isWaiting = true;
  setTimeout(async () => {
    // those of the last moment have their turn with the next
    const ripe = ended.splice(0, Math.max(1, ended.length - 1));
    isWaiting = false;
    await post("/history", { delete: ripe });
    if (ended.length) forget(ended.pop());
  }, WRITTEN);
}

/** The server's reason for refusing a prompt, with the value that it does not allow. */
export function reasonOf(error) {
  const [node] = Object.values(error.answer?.node_errors ?? {});
  const { message, details } = node?.errors?.[0] ?? error.answer?.error ?? {};
  return [message ?? error.message, details].filter(Boolean).join(": ");
}

/** Network passes that a node's line of progress counts. */
export function passesOf(text) {
  return Number(/(\d+) network pass/.exec(text ?? "")?.[1] ?? 0);
}
