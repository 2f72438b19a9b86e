// Two parents: what lies between them, their children, and the layers of one in the other.
import * as api from "./api.js";
import { matrix } from "./matrix.js";
import { el, say, tile, why } from "./parts.js";
import { commit, randomSeed, state, tidy } from "./state.js";
import { t } from "./words.js";

const PARENT = 192;
const THUMB = 112;
const CHILDREN = 12;
const SHARES = [1, 2, 3, 4, 5, 6, 7].map((i) => i / 8);

const parents = { A: null, B: null };
let litter = 0; // the seed of the children

// A recipe that only has w, so that anything can be done to it next.
async function plain(recipe) {
  if (recipe.w && !recipe.edits && !recipe.other && recipe.truncation == null) return recipe;
  const { w, label } = await api.numbers(recipe);
  return tidy({ w, label });
}

// Whether nothing is done to a parent that would be done to the mixed one as a whole: else it must stand for its w.
const bare = (recipe) => !recipe.w && !recipe.edits && !recipe.other && recipe.truncation == null;

// Where w is z, numbers of one size are kept by going along the sphere; else the straight line.
function blend(a, b, share) {
  const spherical = state.facts.w === state.facts.z && !state.facts.styles && state.facts.prior === "normal";
  const rows = Math.max(a.length, b.length);
  return Array.from({ length: rows }, (_, k) => {
    const [one, other] = [a[a.length > 1 ? k : 0], b[b.length > 1 ? k : 0]];
    let [p, q] = [1 - share, share];
    if (spherical) {
      const dot = one.reduce((sum, value, i) => sum + value * other[i], 0);
      const angle = Math.acos(Math.max(-1, Math.min(1, dot / (Math.hypot(...one) * Math.hypot(...other) || 1))));
      if (angle > 1e-4) [p, q] = [Math.sin(p * angle) / Math.sin(angle), Math.sin(q * angle) / Math.sin(angle)];
    }
    return one.map((value, i) => Number((p * value + q * other[i]).toFixed(5)));
  });
}

async function faces(box, recipes, labels, longest = THUMB) {
  const { bitmap, columns, width, height } = await api.sheet(recipes, longest);
  box.replaceChildren(
    ...recipes.map((recipe, i) => {
      const button = el("button", { type: "button", class: "face", "aria-label": labels[i], title: labels[i], click: () => commit(recipe) });
      button.append(tile(bitmap, i, columns, width, height));
      return button;
    }),
  );
}

function layerRows(a, b) {
  const numbers = [...Array(state.facts.styles).keys()];
  const from = (first, end) => tidy({ ...a, other: b, layers: [first, end] });
  return [
    [numbers.map((k) => from(k, k + 1)), numbers.map((k) => t("layerOne", k))],
    [numbers.map((k) => from(0, k + 1)), numbers.map((k) => t("layerUpTo", k))],
  ];
}

export function draw(panel) {
  parents.A ??= state.recipe;
  parents.B ??= { seed: randomSeed() };
  const boxes = { A: el("div", { class: "portrait" }), B: el("div", { class: "portrait" }) };
  const between = el("div", { class: "filmstrip" });
  const children = el("div", { class: "faces litter" });
  const one = el("div", { class: "faces lanes" });
  const upTo = el("div", { class: "faces lanes" });
  const layers = state.facts.styles ? matrix(state.facts.styles) : null;
  let turn = 0;

  const show = async () => {
    const mine = ++turn;
    try {
      await faces(boxes.A, [parents.A], [t("parent", "A")], PARENT);
      await faces(boxes.B, [parents.B], [t("parent", "B")], PARENT);
      const [a, b] = [await plain(parents.A), await plain(parents.B)];
      if (mine !== turn) return;
      const mixed = SHARES.map((share) => tidy({ w: blend(a.w, b.w, share), label: share < 0.5 ? a.label : b.label }));
      await faces(between, mixed, SHARES.map((share) => t("share", Math.round(100 * share))));
      await breed();
      if (!layers || mine !== turn) return;
      await (bare(parents.A) && bare(parents.B) ? layers.show(parents.A, parents.B) : layers.show(a, b));
      const [single, sums] = layerRows(a, b);
      await faces(one, ...single);
      await faces(upTo, ...sums);
    } catch (error) {
      say(error.message);
    }
  };
  const breed = async () => {
    const { recipes } = await api.children(parents.A, parents.B, CHILDREN, litter);
    await faces(children, recipes, recipes.map((_, i) => t("child", i + 1)));
  };
  const others = () => {
    litter += 1;
    breed().catch((error) => say(error.message));
  };
  const parent = (name) => {
    const take = (recipe) => {
      parents[name] = recipe;
      show();
    };
    return el("div", { class: "parent" }, el("h3", {}, t("parent", name)), boxes[name],
      el("div", { class: "row" },
        el("button", { type: "button", click: () => take(state.recipe) }, t("useThis")),
        el("button", { type: "button", click: () => take({ seed: randomSeed() }) }, t("random"))));
  };
  panel.append(
    el("div", { class: "head" }, el("p", {}, t("mixIs"))),
    el("div", { class: "parents" }, parent("A"), parent("B")),
    el("h3", {}, t("between")), between,
    el("div", { class: "head" }, el("h3", {}, t("childrenOf")), el("button", { type: "button", class: "quiet", click: others }, t("others"))),
    children,
    el("h3", {}, t("byLayer")),
    ...(layers
      ? [el("p", { class: "soft small" }, t("matrixIs")), layers.node, el("h3", {}, t("oneByOne")), el("p", { class: "soft small" }, t("byLayerIs")), one, upTo]
      : [why(t("noLayerMix"))]),
  );
  show();
  return {};
}
