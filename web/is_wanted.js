// Whether the user wants what one of the pack's settings switches.
import { app } from "/scripts/app.js";

/** True until the setting is switched off, also where this ComfyUI does not know it yet. */
export function isWanted(setting) {
  return app.extensionManager.setting.get(setting) !== false;
}
