// All numbers of z, folded in groups.
import * as api from "./api.js";
import { t } from "./messages.js";
import { el, offNote, slider, toast, uniqueId } from "./parts.js";
import { change, commit, key, state, withNumber } from "./state.js";

const GROUP = 16;

let query = "";
const open = new Set(); // first numbers of the groups that are unfolded

// Whether an index is in a query such as `7`, `20-30` or `1,5`.
function matcher(text) {
  const spans = text.split(/[,\s]+/).filter(Boolean).map((part) => /^(\d+)(?:-(\d+))?$/.exec(part)).filter(Boolean);
  return (index) => spans.some(([, first, last]) => index >= Number(first) && index <= Number(last ?? first));
}

function row(index, z, sliders) {
  const reach = state.facts.prior === "uniform" ? 1 : 3;
  const control = slider({
    name: `z${index}`, min: -reach, max: reach, step: 0.01, value: z[index],
    input: (value) => change(withNumber(state.recipe, index, value)),
    change: () => commit(),
  });
  sliders.set(index, control);
  return el("li", {}, control.row);
}

function lists(z, sliders) {
  const indices = [...z.keys()];
  if (query.trim()) {
    const matches = indices.filter(matcher(query));
    return [matches.length ? el("ul", { class: "sliders many" }, ...matches.map((i) => row(i, z, sliders))) : offNote(t("page.no_such_number"))];
  }
  const groups = [];
  for (let first = 0; first < z.length; first += GROUP) {
    const members = indices.slice(first, first + GROUP);
    const list = el("ul", { class: "sliders many" });
    const fold = el("details", { open: open.has(first) }, el("summary", {}, t("page.numbers_group", { first, last: members.at(-1) })), list);
    const fill = () => {
      if (fold.open && !list.childElementCount) list.append(...members.map((i) => row(i, z, sliders)));
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
  const sliders = new Map(); // by index
  const id = uniqueId("find");
  const body = el("div", { class: "numbers" });
  let z = null;
  let drawnStart = ""; // the start of the recipe whose numbers are shown
  const show = () => {
    sliders.clear();
    body.replaceChildren(...(z ? lists(z, sliders) : [offNote(t("page.numbers_off"))]));
  };
  const find = el("input", { type: "search", id, value: query, placeholder: t("page.find_hint"), autocomplete: "off", input: () => {
    query = find.value;
    if (z) show();
  } });
  const settled = async () => {
    const { seed, z: own, numbers, w } = state.recipe;
    const start = key({ seed, own, numbers, w: Boolean(w) });
    if (start === drawnStart) return;
    drawnStart = start;
    try {
      const answer = await api.numbers(state.recipe);
      if (drawnStart !== start) return;
      const before = z;
      z = answer.z;
      find.disabled = !z;
      if (z && before) for (const [index, control] of sliders) control.set(z[index]);
      else show();
    } catch (error) {
      toast(error.message);
    }
  };
  panel.append(
    el("div", { class: "head" }, el("p", {}, t("page.numbers_intro", { count: state.facts.z })), el("label", { class: "field", for: id }, el("span", {}, t("page.find")), find)),
    body,
  );
  settled();
  return { settled };
}
