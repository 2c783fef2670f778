// Live's runs on the server: asked for, taken back, and what is said of them.
import { api } from "/scripts/api.js";

/** There is nobody who could run anything. */
export class Unreachable extends Error {}

/** Queue a prompt up to its targets; the run's id. */
export async function ask(prompt, targets) {
  try {
    return (await api.queuePrompt(0, prompt, { partialExecutionTargets: targets })).prompt_id;
  } catch (error) {
    // who refuses a prompt answers
    throw error.response ? error : new Unreachable(error.message);
  }
}

/** Take one run back that may not have begun; over when it waits no longer. */
export async function takeBack(id) {
  await post("/queue", { delete: [id] });
  // it may have begun just before
  interrupt(id);
}

/** Cut off one run, if it is the one that runs. */
export function interrupt(id) {
  return post("/interrupt", { prompt_id: id });
}

function post(path, content) {
  return api.fetchApi(path, { method: "POST", body: JSON.stringify(content) }).catch(() => {});
}

/** The same from a page that is being closed. */
export function takeBackAtOnce(id) {
  const send = (path, content) => navigator.sendBeacon(api.apiURL(path), JSON.stringify(content));
  send("/queue", { delete: [id] });
  send("/interrupt", { prompt_id: id });
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
  const [node] = Object.values(error.response?.node_errors ?? {});
  const { message, details } = node?.errors?.[0] ?? error.response?.error ?? {};
  return [message ?? error.message, details].filter(Boolean).join(": ");
}

/** Network passes that a node's line of progress counts. */
export function passesOf(text) {
  return Number(/(\d+) network pass/.exec(text ?? "")?.[1] ?? 0);
}
