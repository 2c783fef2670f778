// What our own buttons and panels say, in the language that ComfyUI is set to.
import { api } from "/scripts/api.js";
import { app } from "/scripts/app.js";

const translations = await read();

async function read() {
  try {
    const response = await api.fetchApi("/i18n");
    return response.ok ? await response.json() : {};
  } catch {
    return {}; // then they say it in English
  }
}

/**
 * An English text in the user's language, where locales/<language>/main.json has it under "fewstep";
 * t("{count} passes", { count: 4 }) fills in what stands in braces.
 */
export function t(text, values = {}) {
  const language = app.extensionManager?.setting?.get("Comfy.Locale") ?? "en";
  const found = translations[language]?.fewstep?.[text] ?? text;
  return found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
