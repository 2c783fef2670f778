// Stylesheets for what our scripts put into the page.
import { element } from "./elements.js";

// of buttons and fields, from which all others go on
const FIRST = "controls.css";

/** Load a stylesheet by its path in web/, once; it is for what stands in an element of class fewstep. */
export function useStylesheet(path) {
  for (const file of [FIRST, path]) {
    const { href } = new URL(file, import.meta.url);
    if (document.querySelector(`link[href="${href}"]`)) continue;
    document.head.append(element("link", { rel: "stylesheet", href }));
  }
}
