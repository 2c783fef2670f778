// What the server knows of the model files, and what it is told of them.
import { api } from "/scripts/api.js";

/** The list in parts, as they come: { files, total, next } and in the first one recipes. */
export async function* parts() {
  for (let start = 0; start !== null; ) {
    const part = await answer(await api.fetchApi(`/fewstep/files?start=${start}`));
    yield part;
    start = part.next;
  }
}

/** Say which recipe a file has, null for none; returns what is known of it then. */
export async function give({ name, folder }, recipe) {
  const body = JSON.stringify({ file: name, folder, recipe_id: recipe });
  const headers = { "Content-Type": "application/json" };
  return answer(await api.fetchApi("/fewstep/files/recipe", { method: "POST", headers, body }));
}

async function answer(response) {
  const found = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(found.error ?? `${response.status} ${response.statusText}`);
  return found;
}

export const keyOf = ({ folder, name }) => `${folder}/${name}`;
