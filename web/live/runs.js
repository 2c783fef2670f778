// Live's runs on the server: asked for, taken back, and what is said of them.
import { api } from "/scripts/api.js";

/** Queue a prompt up to its targets; the run's id. */
export async function ask(prompt, targets) {
  const answer = await api.queuePrompt(0, prompt, { partialExecutionTargets: targets });
  return answer.prompt_id;
}

/** Take one run back, whether it waits or runs. */
export async function takeBack(id) {
  for (const [path, content] of takingBack(id)) {
    const body = JSON.stringify(content);
    await api.fetchApi(path, { method: "POST", body }).catch(() => {});
  }
}

/** The same from a page that is being closed. */
export function takeBackAtOnce(id) {
  for (const [path, content] of takingBack(id))
    navigator.sendBeacon(api.apiURL(path), JSON.stringify(content));
}

function takingBack(id) {
  return [
    ["/queue", { delete: [id] }],
    ["/interrupt", { prompt_id: id }],
  ];
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
