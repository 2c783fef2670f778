// Elements made of plain text, so that no prompt or name can ever be taken for HTML.

/** An element; attributes that begin with "on" are listeners, true and false switch one. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** What went wrong, for everybody to read; "" when it is over. */
export function tell(trouble) {
  document.getElementById("trouble").textContent = trouble;
}
