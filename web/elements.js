// Elements of the page; texts are always set as text.

/** An element with properties, and with children or texts in it; those that are empty are left out. */
export function element(tag, properties = {}, children = []) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter(Boolean));
  return made;
}

/** A button; label is what a screen reader says, where the text alone is too short. */
export function button(text, title, onclick, label = null) {
  const made = element("button", { type: "button", textContent: text, onclick });
  if (title) made.title = title;
  if (label) made.setAttribute("aria-label", label);
  return made;
}

export function icon(name) {
  const made = element("i", { className: `pi ${name}` });
  made.setAttribute("aria-hidden", "true");
  return made;
}

/** An element, with an icon before what is in it. */
export function withIcon(name, made) {
  made.prepend(icon(name));
  return made;
}

/** A drop-down with a name for those who do not see it; choices are [value, text]. */
export function select(label, choices) {
  const options = choices.map(([value, text]) => element("option", { value, textContent: text }));
  const made = element("select", {}, options);
  made.setAttribute("aria-label", label);
  // letters choose in it, and are ComfyUI's shortcuts too
  made.onkeydown = (event) => event.stopPropagation();
  return made;
}
