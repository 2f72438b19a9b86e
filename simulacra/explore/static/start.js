// Where a picture starts: its label and its truncation.
import { worded } from "./named.js";
import { byId, el, select, slider } from "./parts.js";
import { change, commit, on, state, tidy } from "./state.js";
import { t } from "./words.js";

const SOME = [["", null], ["0", "no"], ["0.5", "half"], ["1", "yes"]];

// {glasses: "0.5", hair: "red"}: what a label asks for, by attribute or group.
function asked(label) {
  const told = new Map();
  for (const word of label.split(",").map((part) => part.trim()).filter(Boolean)) {
    const [name, value = "1"] = word.split("=").map((part) => part.trim());
    told.set(name, value);
  }
  return told;
}

const spelled = (told) => [...told].map(([name, value]) => (value === "1" ? name : `${name}=${value}`)).join(", ");

function classes(labels) {
  const options = [["", t("asData")], ...labels.map((name) => [name, worded(name)])];
  return select(t("label"), options, state.recipe.label ?? "", (label) => commit(tidy({ ...state.recipe, label })), { id: "label" });
}

// A select for each group of attributes (hair: red, hair: brown …) and for each that stands alone.
function attributes(labels) {
  const groups = new Map();
  for (const name of labels) {
    const [group, value] = name.split(":").map((part) => part.trim());
    groups.set(group, [...(groups.get(group) ?? []), ...(value ? [[name, value]] : [])]);
  }
  const now = asked(state.recipe.label ?? "");
  const store = (edit) => {
    const told = asked(state.recipe.label ?? "");
    edit(told);
    commit(tidy({ ...state.recipe, label: spelled(told) }));
  };
  const fields = [...groups].map(([group, values]) => {
    const alone = !values.length;
    const options = alone ? SOME.map(([value, word]) => [value, word ? t(word) : t("asData")]) : [["", t("asData")], ...values.map(([name, text]) => [name, worded(text)])];
    const value = alone ? (now.get(group) ?? "") : (values.find(([name]) => now.get(name) === "1")?.[0] ?? "");
    const made = select(worded(group), options, value, (chosen) =>
      store((told) => {
        for (const [name] of values) told.delete(name);
        if (alone && chosen === "") told.delete(group);
        else if (alone) told.set(group, chosen);
        else if (chosen) told.set(chosen, "1");
      }),
    );
    return el("label", { class: "field wide" }, el("span", {}, worded(group)), made);
  });
  const open = now.size > 0;
  return el("details", { open }, el("summary", {}, t("attributes", labels.length)), el("div", { class: "fields" }, ...fields));
}

let truncation = null;

export function drawStart() {
  const { labels, attributes: many } = state.facts;
  truncation = slider({
    name: "truncation", label: t("truncation"), title: t("truncationWhat"), min: 0, max: 1.5, step: 0.05, zero: 1,
    value: state.recipe.truncation ?? 1,
    input: (value) => change(tidy({ ...state.recipe, truncation: value })),
    change: () => commit(),
  });
  const label = !labels.length
    ? el("label", { class: "field wide off", title: t("noLabels") }, el("span", {}, t("label")),
        select(t("label"), [["", t("noLabelsShort")]], "", () => {}, { disabled: true }))
    : many ? attributes(labels) : el("label", { class: "field wide" }, el("span", {}, t("label")), classes(labels));
  byId("start").replaceChildren(truncation.row, label);
}

export function startStart() {
  on("settled", (recipe) => {
    truncation?.set(recipe.truncation ?? 1);
    const held = byId("start").contains(document.activeElement);
    if (state.facts?.labels.length && !held) drawStart();
  });
}
