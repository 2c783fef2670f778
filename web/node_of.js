// Which node of the open workflow an id means.
import { app } from "/scripts/app.js";

/** A node by the server's id, 12 or 5:12 inside of subgraphs, or the page's, subgraph's uuid:12. */
export function nodeOf(id) {
  const path = String(id).split(":");
  let graph = app.graph;
  if (graph?.subgraphs?.has(path[0])) graph = graph.subgraphs.get(path.shift());
  const last = path.pop();
  for (const step of path) graph = graph?.getNodeById(step)?.subgraph;
  return graph?.getNodeById(last) ?? undefined;
}
