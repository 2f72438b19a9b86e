// The controls below the picture: its label, its truncation, as a whole and by layers, and its noise.
import { attributeTitle } from "./directions.js";
import { t } from "./messages.js";
import { byId, el, select, slider } from "./parts.js";
import { change, commit, on, state, tidy, withLayerTruncation } from "./state.js";

const MOST_NOISE = 50; // seeds of noise on the slider; 0 is the stored one
const THIRDS = ["page.layers_coarse", "page.layers_middle", "page.layers_fine"];
const AMOUNTS = [["", "page.as_in_data"], ["0", "page.attribute_no"], ["0.5", "page.attribute_half"], ["1", "page.attribute_yes"]];

// A label such as "glasses=0.5, hair: red" as a map from attribute to amount.
function parseLabel(label) {
  const amounts = new Map();
  for (const part of label.split(",").map((text) => text.trim()).filter(Boolean)) {
    const [name, amount = "1"] = part.split("=").map((text) => text.trim());
    amounts.set(name, amount);
  }
  return amounts;
}

const formatLabel = (amounts) => [...amounts].map(([name, amount]) => (amount === "1" ? name : `${name}=${amount}`)).join(", ");

function classSelect(labels) {
  const options = [["", t("page.as_in_data")], ...labels.map((name) => [name, attributeTitle(name)])];
  return select(t("page.label"), options, state.recipe.label ?? "", (label) => commit(tidy({ ...state.recipe, label })), { id: "label" });
}

// A select for each group of attributes (hair: red, hair: brown …) and for each single attribute.
function attributeSelects(labels) {
  const groups = new Map();
  for (const name of labels) {
    const [group, value] = name.split(":").map((part) => part.trim());
    groups.set(group, [...(groups.get(group) ?? []), ...(value ? [[name, value]] : [])]);
  }
  const current = parseLabel(state.recipe.label ?? "");
  const store = (update) => {
    const amounts = parseLabel(state.recipe.label ?? "");
    update(amounts);
    commit(tidy({ ...state.recipe, label: formatLabel(amounts) }));
  };
  const fields = [...groups].map(([group, values]) => {
    const single = !values.length;
    const options = single
      ? AMOUNTS.map(([amount, code]) => [amount, t(code)])
      : [["", t("page.as_in_data")], ...values.map(([name, value]) => [name, attributeTitle(value)])];
    const value = single ? (current.get(group) ?? "") : (values.find(([name]) => current.get(name) === "1")?.[0] ?? "");
    const field = select(attributeTitle(group), options, value, (choice) =>
      store((amounts) => {
        for (const [name] of values) amounts.delete(name);
        if (single && choice === "") amounts.delete(group);
        else if (single) amounts.set(group, choice);
        else if (choice) amounts.set(choice, "1");
      }),
    );
    return el("label", { class: "field wide" }, el("span", {}, attributeTitle(group)), field);
  });
  return el("details", { open: current.size > 0 }, el("summary", {}, t("page.attributes", { count: labels.length })), el("div", { class: "fields" }, ...fields));
}

let truncation = null;
let others = []; // sliders with the value that a recipe gives them

// The thirds of the layers, as a recipe names them: "0-3".
function thirds() {
  const edge = (k) => Math.round((k * state.facts.num_ws) / THIRDS.length);
  return THIRDS.map((code, k) => [code, `${edge(k)}-${edge(k + 1) - 1}`]);
}

// Sliders that models with styles have: a truncation of each third of the layers, and other noise.
function styleSliders() {
  others = [];
  const add = (of, options) => {
    const control = slider({ value: of(state.recipe), change: () => commit(), ...options });
    others.push([control, of]);
    return control.row;
  };
  const rows = state.facts.num_ws < THIRDS.length ? [] : thirds().map(([code, layers]) =>
    add((recipe) => recipe.layer_truncation?.[layers] ?? 1, {
      name: `truncation ${layers}`, label: t(code), title: t("page.layer_truncation_hint", { layers }), min: 0, max: 1.5, step: 0.05, zero: 1,
      input: (value) => change(withLayerTruncation(state.recipe, layers, value)),
    }));
  if (state.facts.noise) {
    rows.push(add((recipe) => recipe.noise ?? 0, {
      name: "noise", label: t("page.noise"), title: t("page.noise_hint"), min: 0, max: MOST_NOISE, step: 1, digits: 0,
      input: (value) => change(tidy({ ...state.recipe, noise: value || null })),
    }));
  }
  const moved = others.some(([, of]) => of(state.recipe) !== of({}));
  return rows.length ? el("details", { open: moved }, el("summary", {}, t("page.layers_and_noise")), ...rows) : null;
}

export function drawControls() {
  const { labels, attributes } = state.facts;
  truncation = slider({
    name: "truncation", label: t("page.truncation"), title: t("page.truncation_hint"), min: 0, max: 1.5, step: 0.05, zero: 1,
    value: state.recipe.truncation ?? 1,
    input: (value) => change(tidy({ ...state.recipe, truncation: value })),
    change: () => commit(),
  });
  const label = !labels.length
    ? el("label", { class: "field wide off", title: t("page.labels_off") }, el("span", {}, t("page.label")),
        select(t("page.label"), [["", t("page.labels_off_short")]], "", () => {}, { disabled: true }))
    : attributes ? attributeSelects(labels) : el("label", { class: "field wide" }, el("span", {}, t("page.label")), classSelect(labels));
  byId("start").replaceChildren(...[truncation.row, styleSliders(), label].filter(Boolean));
}

export function startControls() {
  on("settled", (recipe) => {
    truncation?.set(recipe.truncation ?? 1);
    for (const [control, of] of others) control.set(of(recipe));
    const focused = byId("start").contains(document.activeElement);
    if (state.facts?.labels?.length && !focused) drawControls();
  });
}
