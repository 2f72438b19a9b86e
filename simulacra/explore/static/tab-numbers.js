// The numbers of z, all of them, folded away in groups.
import * as api from "./api.js";
import { el, fresh, say, slider, why } from "./parts.js";
import { change, commit, key, state, withNumber } from "./state.js";
import { t } from "./words.js";

const GROUP = 16;

let query = "";
const open = new Set();

// `7`, `20-30`, `1,5` -> whether a number is asked for.
function wanted(text) {
  const spans = text.split(/[,\s]+/).filter(Boolean).map((part) => /^(\d+)(?:-(\d+))?$/.exec(part)).filter(Boolean);
  return (index) => spans.some(([, first, last]) => index >= Number(first) && index <= Number(last ?? first));
}

function row(index, z, rows) {
  const reach = state.facts.prior === "uniform" ? 1 : 3;
  const made = slider({
    name: `z${index}`, min: -reach, max: reach, step: 0.01, value: z[index],
    input: (value) => change(withNumber(state.recipe, index, value)),
    change: () => commit(),
  });
  rows.set(index, made);
  return el("li", {}, made.row);
}

function lists(z, rows) {
  const indices = [...z.keys()];
  if (query.trim()) {
    const found = indices.filter(wanted(query));
    return [found.length ? el("ul", { class: "sliders many" }, ...found.map((i) => row(i, z, rows))) : why(t("nothingFound"))];
  }
  const groups = [];
  for (let first = 0; first < z.length; first += GROUP) {
    const some = indices.slice(first, first + GROUP);
    const list = el("ul", { class: "sliders many" });
    const fold = el("details", { open: open.has(first) }, el("summary", {}, t("group", first, some.at(-1))), list);
    const fill = () => {
      if (fold.open && !list.childElementCount) list.append(...some.map((i) => row(i, z, rows)));
    };
    fold.addEventListener("toggle", () => {
      if (fold.open) open.add(first);
      else open.delete(first);
      fill();
    });
    fill();
    groups.push(fold);
  }
  return groups;
}

export function draw(panel) {
  const rows = new Map();
  const id = fresh("find");
  const body = el("div", { class: "numbers" });
  let z = null;
  let known = "";
  const show = () => {
    rows.clear();
    body.replaceChildren(...(z ? lists(z, rows) : [why(t("noNumbers"))]));
  };
  const find = el("input", { type: "search", id, value: query, placeholder: t("findHint"), autocomplete: "off", input: () => {
    query = find.value;
    if (z) show();
  } });
  const settled = async () => {
    const { seed, z: own, numbers, w } = state.recipe;
    const start = key({ seed, own, numbers, w: Boolean(w) });
    if (start === known) return;
    known = start;
    try {
      const told = await api.numbers(state.recipe);
      if (known !== start) return;
      const had = Boolean(z);
      z = told.z;
      find.disabled = !z;
      if (z && had) for (const [index, made] of rows) made.set(z[index]);
      else show();
    } catch (error) {
      say(error.message);
    }
  };
  panel.append(
    el("div", { class: "head" }, el("p", {}, t("numbersIs", state.facts.z)), el("label", { class: "field", for: id }, el("span", {}, t("find")), find)),
    body,
  );
  settled();
  return { settled };
}
