// What a live output shows: the picture, how long it took, buttons, and sliders below.
import { api } from "/scripts/api.js";
import { app } from "/scripts/app.js";
import { button, element } from "../elements.js";
import { useStylesheet } from "../stylesheet.js";
import { t } from "../words.js";

/** The elements of a live output; sliders is an element, or null. */
export function display({ onToggle, sliders }) {
  useStylesheet("live/live.css");
  const image = element("img", { alt: t("the latest picture") });
  const told = element("span");
  told.setAttribute("role", "status");
  const live = button(t("Live"), t("Make the picture anew with every edit"), onToggle);
  live.setAttribute("aria-pressed", "false");
  const keep = button(t("Keep"), t("Save this picture with its workflow"), null);
  const bar = element("div", { className: "fewstep-live-bar" }, [live, keep, told]);
  const whole = element("div", { className: "fewstep fewstep-live" }, [image, bar, sliders]);
  const tell = (text) => Object.assign(told, { textContent: text, title: text });
  // kept is { blob, prompt } of the picture on the screen
  return { whole, image, live, keep, tell, kept: null };
}

/** Put a picture in the place of the one before, which is let go of. */
export function showPicture(shown, blob, prompt) {
  const before = shown.image.src;
  shown.image.src = URL.createObjectURL(blob);
  shown.kept = { blob, prompt };
  if (before.startsWith("blob:")) URL.revokeObjectURL(before);
}

/** Have the server keep the picture that is shown, with what it was made by. */
export async function keepPicture(shown) {
  if (!shown.kept) {
    shown.tell(t("There is no picture yet."));
    return;
  }
  const { blob } = shown.kept;
  const prompt = shown.kept.prompt ?? (await app.graphToPrompt());
  const form = new FormData();
  form.append("image", blob, "live.png");
  form.append("prompt", JSON.stringify(prompt.output));
  form.append("workflow", JSON.stringify(prompt.workflow));
  const response = await api.fetchApi("/fewstep/live/keep", { method: "POST", body: form });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) shown.tell(t("kept as {name}", { name: answer.name }));
  else shown.tell(answer.error ?? t("not kept: {status}", { status: response.status }));
}
