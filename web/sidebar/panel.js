// The tab: a search, two filters, and the files by the base model that they are for.
import { button, element, select, withIcon } from "../elements.js";
import { t } from "../words.js";
import { baseTitle } from "./bases.js";
import { keyOf } from "./files.js";
import { kindWords, row, surenessOf, surenessWords } from "./row.js";

/** The elements of the tab; acts as of `row`, and onRefresh(). show(state) draws what is known. */
export function panel(acts) {
  const search = element("input", { type: "search", placeholder: t("Search files ...") });
  search.setAttribute("aria-label", t("Search files"));
  const kind = select(t("Kind"), [["", t("all kinds")], ...Object.entries(kindWords())]);
  const sure = select(t("How sure"), [["", t("however sure")], ...Object.entries(surenessWords())]);
  const again = t("Read the folders again");
  const refresh = withIcon("pi-refresh", button("", again, acts.onRefresh, again));
  const told = element("p", { className: "fewstep-told" });
  told.setAttribute("role", "status");
  const groups = element("div", { className: "fewstep-groups" });
  const top = element("div", { className: "fewstep-top" }, [search, refresh, kind, sure, told]);
  const whole = element("section", { className: "fewstep fewstep-sidebar" }, [top, groups]);
  whole.setAttribute("aria-label", t("FewStep's files"));
  whole.onkeydown = (event) => {
    // else the browser, too, undoes what was typed last, which is the search
    const isUndo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
    if (isUndo && event.target !== search) event.preventDefault();
  };
  const rows = new Map(); // by file: { text of the entry, file, made }
  let state = null;
  const filter = () => {
    const wanted = { words: search.value.toLowerCase().split(/\s+/), kind: kind.value, sure: sure.value };
    told.textContent = summaryOf(state, filtered(groups, rows, wanted));
  };
  search.oninput = kind.onchange = sure.onchange = filter;
  const show = (now) => {
    state = now;
    refresh.disabled = now.isReading;
    renew(rows, now.files, acts);
    arrange(groups, rows);
    filter();
  };
  return { whole, show };
}

/** Make the rows of new and changed files, and drop those of files that are gone. */
function renew(rows, files, acts) {
  const before = new Map(rows);
  rows.clear();
  for (const file of files) {
    const key = keyOf(file);
    const text = JSON.stringify(file);
    const old = before.get(key);
    const made = old?.text === text ? old.made : replaced(old?.made, row(file, acts));
    rows.set(key, { text, file, made });
  }
}

/** The new row, unfolded where the old one was. */
function replaced(old, made) {
  if (old?.querySelector("details").open) made.querySelector("details").open = true;
  return made;
}

/** Rows under a heading for each base, those of no known base last. */
function arrange(groups, rows) {
  const byBase = new Map();
  for (const { file, made } of rows.values()) {
    const title = baseTitle(file.base) ?? "";
    byBase.set(title, [...(byBase.get(title) ?? []), made]);
  }
  const titles = [...byBase.keys()].sort((a, b) => !a - !b || a.localeCompare(b));
  groups.replaceChildren(...titles.map((title) => group(title, byBase.get(title))));
}

function group(title, rows) {
  const heading = element("h3", {}, [title || t("base model not known"), " ", element("span")]);
  return element("section", {}, [heading, element("ul", {}, rows)]);
}

/** Hide what is not wanted; returns how many are shown. */
function filtered(groups, rows, { words, kind, sure }) {
  for (const { file, made } of rows.values()) {
    const text = [file.name, file.folder, file.title, file.family, file.base, baseTitle(file.base), file.kind]
      .join(" ")
      .toLowerCase();
    made.hidden =
      !words.every((word) => text.includes(word)) ||
      (kind !== "" && file.kind !== kind) ||
      (sure !== "" && surenessOf(file) !== sure);
  }
  let shown = 0;
  for (const section of groups.children) {
    const here = [...section.querySelectorAll("li")].filter((one) => !one.hidden).length;
    section.hidden = here === 0;
    section.querySelector("h3 span").textContent = String(here);
    shown += here;
  }
  return shown;
}

function summaryOf({ files, total, isReading, trouble }, shown) {
  if (trouble) return t("The list did not come: {trouble}", { trouble });
  if (isReading) return t("Reading {count} of {total} files ...", { count: files.length, total });
  if (!files.length)
    return t("ComfyUI finds no LoRA, diffusion model or checkpoint. Put one into its models folder and press R.");
  if (!shown) return t("No file matches.");
  return shown === files.length
    ? t("{count} files", { count: shown })
    : t("{count} of {total} files", { count: shown, total: files.length });
}
