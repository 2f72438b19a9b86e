// All numbers of z, each with a slider.
import * as api from "./api.js";
import { t } from "./messages.js";
import { el, offNote, slider, toast, uniqueId } from "./parts.js";
import { change, commit, key, state, withNumber } from "./state.js";

let query = "";

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

function numberList(z, sliders) {
  const indices = [...z.keys()];
  const matches = query.trim() ? indices.filter(matcher(query)) : indices;
  return matches.length ? el("ul", { class: "sliders many" }, ...matches.map((i) => row(i, z, sliders))) : offNote(t("page.no_such_number"));
}

export function draw(panel) {
  const sliders = new Map(); // by index
  const id = uniqueId("find");
  const body = el("div", { class: "numbers" });
  let z = null;
  let drawnStart = ""; // the start of the recipe whose numbers are shown
  const show = () => {
    sliders.clear();
    body.replaceChildren(z ? numberList(z, sliders) : offNote(t("page.numbers_off")));
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
