// What a live output shows: the picture, how long it took, and buttons.
import { t } from "../words.js";

/** The elements of a live output; onToggle and onKeep are called for its buttons. */
export function display({ onToggle, onKeep }) {
  const image = document.createElement("img");
  image.alt = t("the latest picture");
  const told = document.createElement("span");
  told.setAttribute("role", "status");
  const live = button(t("Live"), t("Make the picture anew with every edit"), onToggle);
  live.setAttribute("aria-pressed", "false");
  const keep = button(t("Keep"), t("Save this picture with its workflow"), onKeep);
  const bar = document.createElement("div");
  bar.append(live, keep, told);
  const whole = document.createElement("div");
  whole.append(image, bar);
  Object.assign(whole.style, { display: "flex", flexDirection: "column", gap: "6px", height: "100%" });
  Object.assign(image.style, { flex: "1", minHeight: "0", width: "100%", objectFit: "contain" });
  // until there is one, a browser would draw a broken picture
  image.style.visibility = "hidden";
  Object.assign(bar.style, { display: "flex", gap: "8px", alignItems: "center", fontSize: "12px" });
  return { whole, image, told, live, keep };
}

function button(text, title, onclick) {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", textContent: text, title, onclick });
  Object.assign(made.style, { padding: "4px 14px", cursor: "pointer" });
  return made;
}

/** Put a picture in the place of the one before, which is let go of. */
export function showPicture(image, blob) {
  const before = image.src;
  image.src = URL.createObjectURL(blob);
  image.style.visibility = "visible";
  if (before.startsWith("blob:")) URL.revokeObjectURL(before);
}
