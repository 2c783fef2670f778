// Elements of the page, with their text as text.

/** An element with properties and children. */
export function element(tag, properties = {}, children = []) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** A button; label is what a screen reader says, where the text alone is too short. */
export function button(text, title, onclick, label = null) {
  const made = element("button", { type: "button", textContent: text, title, onclick });
  if (label) made.setAttribute("aria-label", label);
  return made;
}
