// Mixing by layer: a column for each layer, a row for each parent. Each cell shows the picture that its choice makes.
import * as api from "./api.js";
import { t } from "./messages.js";
import { el, latest, tile, toast, uniqueId } from "./parts.js";
import { commit, tidy } from "./state.js";

const THUMB = 96;
const LONGEST = 200_000; // letters of recipes in a request, about: the server accepts five times as many

let fromB = []; // by layer: whether it comes from B

const rowOf = ({ w }, layer) => w[w.length > 1 ? layer : 0];

// Parent `a` with the layers of `b` where `chosen` is true. A recipe can take one range of layers from another recipe. A
// hole in that range is filled from `a` again, and so on: seeds stay seeds, and the link stays short.
export function interleave(a, b, chosen) {
  if (a.w && b.w) return tidy({ w: chosen.map((isB, layer) => rowOf(isB ? b : a, layer)), label: a.label });
  const first = chosen.indexOf(true);
  if (first < 0) return a;
  const end = chosen.lastIndexOf(true) + 1;
  const holes = chosen.map((isB, layer) => layer >= first && layer < end && !isB);
  return tidy({ ...a, other: interleave(b, a, holes), layers: [first, end] });
}

export function matrix(count) {
  if (fromB.length !== count) fromB = Array(count).fill(false);
  const parents = {};
  const name = uniqueId("lane");
  const lanes = fromB.map((_, layer) => {
    const cells = ["A", "B"].map((parent) => {
      const label = t("page.layer_from", { layer, parent });
      const input = el("input", { type: "radio", name: `${name}-${layer}`, class: "unseen", "aria-label": label });
      const face = el("span", { class: "face" }, el("span", { class: "blank" }));
      input.addEventListener("change", () => choose(fromB.with(layer, parent === "B")));
      return { input, face, node: el("label", { title: label }, input, face, el("span", { class: "mark", "aria-hidden": "true" }, parent)) };
    });
    return { cells, node: el("fieldset", { class: "lane" }, el("legend", {}, layer), ...cells.map((cell) => cell.node)) };
  });
  const check = () => lanes.forEach(({ cells }, layer) => cells.forEach(({ input }, row) => (input.checked = fromB[layer] === Boolean(row))));
  const recipeAt = (layer, row) => interleave(parents.a, parents.b, fromB.with(layer, Boolean(row)));
  const paint = latest(async () => {
    try {
      const faces = lanes.flatMap(({ cells }) => cells.map(({ face }) => face));
      const recipes = faces.map((_, i) => recipeAt(i >> 1, i & 1));
      const batch = Math.max(1, Math.floor(LONGEST / JSON.stringify(recipes[0]).length)); // every layer may have its own w
      for (let first = 0; first < recipes.length; first += batch) {
        const { bitmap, columns, width, height } = await api.sheet(recipes.slice(first, first + batch), THUMB);
        faces.slice(first, first + batch).forEach((face, i) => face.replaceChildren(tile(bitmap, i, columns, width, height)));
      }
    } catch (error) {
      toast(error.message);
    }
  });
  const choose = (chosen) => {
    fromB = chosen;
    check();
    if (!parents.a) return;
    commit(interleave(parents.a, parents.b, fromB));
    paint();
  };
  const button = (text, chosen) => el("button", { type: "button", click: () => choose(chosen()) }, text);
  const node = el("div", { class: "matrix" },
    el("div", { class: "lanesrow" }, ...lanes.map((lane) => lane.node)),
    el("div", { class: "row" },
      button(t("page.all_from_a"), () => fromB.map(() => false)),
      button(t("page.all_from_b"), () => fromB.map(() => true)),
      button(t("page.swap_layers"), () => fromB.map((isB) => !isB))));
  check();
  return {
    node,
    show: (a, b) => {
      Object.assign(parents, { a, b });
      return paint();
    },
  };
}
