// The controls below the picture: its label and its truncation.
import { attributeTitle } from "./directions.js";
import { t } from "./messages.js";
import { byId, el, select, slider } from "./parts.js";
import { change, commit, on, state, tidy } from "./state.js";

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
  byId("start").replaceChildren(truncation.row, label);
}

export function startControls() {
  on("settled", (recipe) => {
    truncation?.set(recipe.truncation ?? 1);
    const focused = byId("start").contains(document.activeElement);
    if (state.facts?.labels?.length && !focused) drawControls();
  });
}
