// Stylesheets for what our scripts put into the page.
import { element } from "./elements.js";

/** Load a stylesheet by its path in web/, once. */
export function useStylesheet(path) {
  const { href } = new URL(path, import.meta.url);
  if (document.querySelector(`link[href="${href}"]`)) return;
  document.head.append(element("link", { rel: "stylesheet", href }));
}
