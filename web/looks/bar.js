// How much of a LoRA fits its model, as a bar with one segment for each block of the network.
import { element } from "../elements.js";
import { t } from "../words.js";

/** 794 of 794 layers. */
export function coverageWords({ matched, layers }) {
  return t("{matched} of {layers} layers", { matched, layers });
}

/** The blocks by name, each with its count of layers and how many of them fit. */
export function blocksOf({ blocks }) {
  return Object.entries(blocks)
    .map(([name, counts]) => ({
      name,
      counts,
      matched: counts.matched ?? 0,
      layers: Object.values(counts).reduce((sum, count) => sum + count, 0),
    }))
    .sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}

/** The bar; segments are as wide as their blocks have layers, what does not fit is hatched. */
export function coverageBar(coverage) {
  const segments = blocksOf(coverage).map(({ name, matched, layers }) => {
    const fitting = element("span", { className: "fewstep-matched" });
    fitting.style.width = `${(100 * matched) / layers}%`;
    const title = `${name}: ${coverageWords({ matched, layers })}`;
    const segment = element("span", { className: "fewstep-segment", title }, [fitting]);
    segment.style.flexGrow = layers;
    return segment;
  });
  return element("span", { className: "fewstep-bar" }, segments);
}
