// Short ways to make the elements of the tab; texts are always set as text.

/** An element with properties, classes in "className", and children or texts in it. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function icon(name) {
  const made = element("i", { className: `pi ${name}` });
  made.setAttribute("aria-hidden", "true");
  return made;
}

export function button(text, properties, sign = null) {
  return element("button", { type: "button", ...properties }, sign && icon(sign), text);
}

/** A drop-down with a name for those who do not see it; choices are [value, text]. */
export function select(label, choices, properties = {}) {
  const options = choices.map(([value, text]) => element("option", { value, textContent: text }));
  const made = element("select", properties, ...options);
  made.setAttribute("aria-label", label);
  // letters choose in it, and are ComfyUI's shortcuts too
  made.onkeydown = (event) => event.stopPropagation();
  return made;
}
