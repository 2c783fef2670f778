// The questions that this page asks its server.

const BASE = new URL("pairs/", location.href);
const WAIT = 1000; // milliseconds until a server that does not answer is asked again

/** The server cannot be reached; whether it heard the question is unknown. */
export class Unreachable extends Error {}

/** What the server answers; a body makes it a POST. Throws an Error with the server's sentence. */
export async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  let response;
  try {
    response = await fetch(address(path), options);
  } catch (error) {
    throw new Unreachable(error.message);
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `The server answers ${response.status}.`);
  return answer;
}

/** The same, of a question that may be asked twice: once more and again until there is an answer. */
export async function askUntilAnswered(path, body, onWait) {
  for (;;) {
    try {
      return await ask(path, body);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      onWait();
      await new Promise((done) => setTimeout(done, WAIT));
    }
  }
}

/** The address of a path below the page's own. */
export function address(path) {
  return new URL(path, BASE).href;
}

/** The path of a comparison's part. */
export function ofStudy(name, part) {
  return `studies/${encodeURIComponent(name)}/${part}`;
}
