// Two parents: the pictures between them, their children, and mixing by layer.
import * as api from "./api.js";
import { matrix } from "./matrix.js";
import { t } from "./messages.js";
import { el, offNote, tile, toast } from "./parts.js";
import { commit, randomSeed, state, tidy } from "./state.js";

const PARENT = 192; // pixels
const THUMB = 112;
const CHILDREN = 12;
const SHARES = [1, 2, 3, 4, 5, 6, 7].map((i) => i / 8);

const parents = { A: null, B: null };
let childrenSeed = 0;

// Whether a recipe is a seed, z or label alone. Edits and truncation of a parent must not act on the whole mixture.
const isTruncated = (recipe) => recipe.truncation != null || recipe.layer_truncation != null;
const isPlain = (recipe) => !recipe.w && !recipe.edits && !recipe.other && !isTruncated(recipe);

// The same picture as a recipe that has only w and label.
async function asW(recipe) {
  if (recipe.w && !recipe.edits && !recipe.other && !isTruncated(recipe)) return recipe;
  const { w, label } = await api.numbers(recipe);
  return tidy({ w, label });
}

// Interpolates rows of w: spherically where w is a normal z, which keeps its length; else along the straight line.
function interpolate(a, b, share) {
  const spherical = state.facts.w === state.facts.z && !state.facts.num_ws && state.facts.prior === "normal";
  return Array.from({ length: Math.max(a.length, b.length) }, (_, k) => {
    const [from, to] = [a[a.length > 1 ? k : 0], b[b.length > 1 ? k : 0]];
    let [p, q] = [1 - share, share];
    if (spherical) {
      const dot = from.reduce((sum, value, i) => sum + value * to[i], 0);
      const angle = Math.acos(Math.max(-1, Math.min(1, dot / (Math.hypot(...from) * Math.hypot(...to) || 1))));
      if (angle > 1e-4) [p, q] = [Math.sin(p * angle) / Math.sin(angle), Math.sin(q * angle) / Math.sin(angle)];
    }
    return from.map((value, i) => Number((p * value + q * to[i]).toFixed(5)));
  });
}

async function drawPictures(box, recipes, labels, longest = THUMB) {
  const { bitmap, columns, width, height } = await api.sheet(recipes, longest);
  box.replaceChildren(
    ...recipes.map((recipe, i) => {
      const button = el("button", { type: "button", class: "face", "aria-label": labels[i], title: labels[i], click: () => commit(recipe) });
      button.append(tile(bitmap, i, columns, width, height));
      return button;
    }),
  );
}

// [recipes, labels] of A with one layer of B, and with all layers of B up to one.
function layerMixtures(a, b) {
  const layers = [...Array(state.facts.num_ws).keys()];
  const mixture = (first, end) => tidy({ ...a, other: b, layers: [first, end] });
  return [
    [layers.map((layer) => mixture(layer, layer + 1)), layers.map((layer) => t("page.layer_from", { layer, parent: "B" }))],
    [layers.map((layer) => mixture(0, layer + 1)), layers.map((layer) => t("page.layers_up_to", { layer }))],
  ];
}

export function draw(panel) {
  parents.A ??= state.recipe;
  parents.B ??= { seed: randomSeed() };
  const portraits = { A: el("div", { class: "portrait" }), B: el("div", { class: "portrait" }) };
  const between = el("div", { class: "filmstrip" });
  const children = el("div", { class: "faces litter" });
  const single = el("div", { class: "faces lanes" });
  const upTo = el("div", { class: "faces lanes" });
  const layers = state.facts.num_ws ? matrix(state.facts.num_ws) : null;
  let version = 0;

  const show = async () => {
    const mine = ++version;
    try {
      for (const parent of ["A", "B"]) await drawPictures(portraits[parent], [parents[parent]], [t("page.parent", { parent })], PARENT);
      const [a, b] = [await asW(parents.A), await asW(parents.B)];
      if (mine !== version) return;
      const mixed = SHARES.map((share) => tidy({ w: interpolate(a.w, b.w, share), label: share < 0.5 ? a.label : b.label }));
      await drawPictures(between, mixed, SHARES.map((share) => t("page.share_of_b", { percent: Math.round(100 * share) })));
      await drawChildren();
      if (!layers || mine !== version) return;
      await (isPlain(parents.A) && isPlain(parents.B) ? layers.show(parents.A, parents.B) : layers.show(a, b));
      const [one, several] = layerMixtures(a, b);
      await drawPictures(single, ...one);
      await drawPictures(upTo, ...several);
    } catch (error) {
      toast(error.message);
    }
  };
  const drawChildren = async () => {
    const { recipes } = await api.children(parents.A, parents.B, CHILDREN, childrenSeed);
    await drawPictures(children, recipes, recipes.map((_, i) => t("page.child", { number: i + 1 })));
  };
  const drawOthers = () => {
    childrenSeed += 1;
    drawChildren().catch((error) => toast(error.message));
  };
  const parentBox = (parent) => {
    const set = (recipe) => {
      parents[parent] = recipe;
      show();
    };
    return el("div", { class: "parent" }, el("h3", {}, t("page.parent", { parent })), portraits[parent],
      el("div", { class: "row" },
        el("button", { type: "button", click: () => set(state.recipe) }, t("page.use_current")),
        el("button", { type: "button", click: () => set({ seed: randomSeed() }) }, t("page.random"))));
  };
  panel.append(
    el("div", { class: "head" }, el("p", {}, t("page.mix_intro"))),
    el("div", { class: "parents" }, parentBox("A"), parentBox("B")),
    el("h3", {}, t("page.between")), between,
    el("div", { class: "head" }, el("h3", {}, t("page.children")), el("button", { type: "button", class: "quiet", click: drawOthers }, t("page.others"))),
    children,
    el("h3", {}, t("page.by_layer")),
    ...(layers
      ? [el("p", { class: "soft small" }, t("page.matrix_intro")), layers.node, el("h3", {}, t("page.one_by_one")), el("p", { class: "soft small" }, t("page.one_by_one_intro")), single, upTo]
      : [offNote(t("page.mix_layers_off"))]),
  );
  show();
  return {};
}
