// Both ends of the sliders that nobody has named: what the stage's picture becomes there, drawn once it has settled.
import * as api from "./api.js";
import { t } from "./messages.js";
import { el, tile, toast } from "./parts.js";
import { commit, key, state } from "./state.js";

const THUMB = 96; // pixels
const DELAY = 400; // ms after the last change
const TOGETHER = 12; // sliders in one request

// A slider's row between its two ends. edited: the recipe at a strength.
export function withEnds(row, title, reach, edited) {
  const buttons = [-reach, reach].map((strength) => {
    const label = t("page.strength", { name: title, strength: strength > 0 ? `+${strength}` : `−${-strength}` });
    return el("button", { type: "button", class: "face", "aria-label": label, title: label, click: () => commit(edited(strength)) }, el("span", { class: "blank" }));
  });
  const recipes = () => [edited(-reach), edited(reach)];
  return { node: el("div", { class: "ends" }, buttons[0], row, buttons[1]), buttons, recipes, drawn: "" };
}

// Draws the ends that are in view. Returns what to call when the picture has settled, and when the panel is closed.
export function drawEnds(all) {
  const byNode = new Map(all.map((ends) => [ends.node, ends]));
  const visible = new Set();
  let [timer, busy, open] = [0, false, true];

  const next = () => [...visible].filter((ends) => ends.drawn !== key(ends.recipes())).slice(0, TOGETHER);
  const draw = async () => {
    if (busy) return;
    busy = true;
    try {
      for (let some = next(); open && some.length; some = next()) {
        const recipes = some.map((ends) => ends.recipes());
        const { bitmap, columns, width, height } = await api.sheet(recipes.flat(), THUMB);
        some.forEach((ends, i) => {
          ends.drawn = key(recipes[i]);
          ends.buttons.forEach((button, end) => button.replaceChildren(tile(bitmap, 2 * i + end, columns, width, height)));
        });
      }
    } catch (error) {
      toast(error.message);
    }
    busy = false;
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(draw, DELAY);
  };
  const observer = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) visible[isIntersecting ? "add" : "delete"](byNode.get(target));
    later();
  });
  for (const { node } of all) observer.observe(node);
  const close = () => {
    open = false;
    clearTimeout(timer);
    observer.disconnect();
  };
  return { settled: later, close };
}
