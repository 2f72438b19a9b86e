// Which layers come from which parent: a column for each layer, a row for each parent; each cell shows what choosing it
// makes of the picture.
import * as api from "./api.js";
import { el, fresh, latest, say, tile } from "./parts.js";
import { commit, tidy } from "./state.js";
import { t } from "./words.js";

const THUMB = 96;
const LONGEST = 200_000; // letters of recipes in a request, about: the server takes five times that

let fromB = []; // by layer: whether it comes from B

const row = ({ w }, layer) => w[w.length > 1 ? layer : 0];

// Parent `a` with the layers of `b` where `chosen` says so. One recipe can take one range of layers from another, so that
// a hole in it is filled from `a` again, and so on: a seed stays a seed, and the link short.
export function woven(a, b, chosen) {
  if (a.w && b.w) return tidy({ w: chosen.map((taken, layer) => row(taken ? b : a, layer)), label: a.label });
  const first = chosen.indexOf(true);
  if (first < 0) return a;
  const end = chosen.lastIndexOf(true) + 1;
  const holes = chosen.map((taken, layer) => layer >= first && layer < end && !taken);
  return tidy({ ...a, other: woven(b, a, holes), layers: [first, end] });
}

export function matrix(styles) {
  if (fromB.length !== styles) fromB = Array(styles).fill(false);
  const parents = {};
  const name = fresh("lane");
  const lanes = fromB.map((_, layer) => {
    const cells = ["A", "B"].map((parent) => {
      const input = el("input", { type: "radio", name: `${name}-${layer}`, class: "unseen", "aria-label": t("layerFrom", layer, parent) });
      const face = el("span", { class: "face" }, el("span", { class: "blank" }));
      input.addEventListener("change", () => choose(fromB.with(layer, parent === "B")));
      return { input, face, node: el("label", { title: t("layerFrom", layer, parent) }, input, face, el("span", { class: "mark", "aria-hidden": "true" }, parent)) };
    });
    return { cells, node: el("fieldset", { class: "lane" }, el("legend", {}, layer), ...cells.map((cell) => cell.node)) };
  });
  const mark = () => lanes.forEach(({ cells }, layer) => cells.forEach(({ input }, row) => (input.checked = fromB[layer] === Boolean(row))));
  const at = (layer, row) => woven(parents.a, parents.b, fromB.with(layer, Boolean(row)));
  const paint = latest(async () => {
    try {
      const faces = lanes.flatMap(({ cells }) => cells.map(({ face }) => face));
      const recipes = faces.map((_, i) => at(i >> 1, i & 1));
      const some = Math.max(1, Math.floor(LONGEST / JSON.stringify(recipes[0]).length)); // every layer may have a w of its own
      for (let first = 0; first < recipes.length; first += some) {
        const { bitmap, columns, width, height } = await api.sheet(recipes.slice(first, first + some), THUMB);
        faces.slice(first, first + some).forEach((face, i) => face.replaceChildren(tile(bitmap, i, columns, width, height)));
      }
    } catch (error) {
      say(error.message);
    }
  });
  const choose = (wanted) => {
    fromB = wanted;
    mark();
    if (!parents.a) return;
    commit(woven(parents.a, parents.b, fromB));
    paint();
  };
  const button = (word, wanted) => el("button", { type: "button", click: () => choose(wanted()) }, t(word));
  const node = el("div", { class: "matrix" },
    el("div", { class: "lanesrow" }, ...lanes.map((lane) => lane.node)),
    el("div", { class: "row" },
      button("allFromA", () => fromB.map(() => false)), button("allFromB", () => fromB.map(() => true)), button("swapLayers", () => fromB.map((taken) => !taken))));
  mark();
  return {
    node,
    show: (a, b) => {
      Object.assign(parents, { a, b });
      return paint();
    },
  };
}
