// The controls of an experiment: sliders for rates, which change at the next step, and fields for settings that restart.
import { t } from "/static/messages.js";
import { el, select, slider, uniqueId } from "/static/parts.js";

const [LEAST, MOST] = [1e-5, 1e-1]; // of a rate
const rounded = (value) => Number(value.toPrecision(2));

// A learning rate on a logarithmic slider. value: now; start: marked as the slider's origin.
function rate({ name, text }, value, onRate) {
  const place = (number) => Math.log10(Math.min(MOST, Math.max(LEAST, number)));
  const { row, set } = slider({
    name, min: Math.log10(LEAST), max: Math.log10(MOST), step: 0.05, value: place(value), zero: place(value),
    format: (at) => String(rounded(10 ** at)), input: () => {}, change: (at) => onRate(name, rounded(10 ** at)),
  });
  const help = el("p", { class: "soft small" }, text);
  return { item: el("li", {}, row, help), follow: (number) => set(place(number)) };
}

function field({ name, value, choices, text }, onRestart) {
  const help = el("p", { class: "soft small", id: uniqueId("help") }, text);
  const change = (event) => onRestart(name, event.target.value);
  const input = choices
    ? select(name, choices.map((choice) => [choice, choice]), value, () => {}, { change, "aria-describedby": help.id })
    : el("input", { type: "text", value, change, "aria-label": name, "aria-describedby": help.id, autocomplete: "off", spellcheck: "false" });
  return el("li", {}, el("div", { class: "setting" }, el("span", { class: "name-of", "aria-hidden": "true" }, name), input), help);
}

// onRate(name, value), onRestart(name, value). Returns {box, follow}: follow shows the rates of a frame.
export function settings(controls, rates, { onRate, onRestart }) {
  const player = { lr: "G", lr_d: "D" };
  const sliders = Object.fromEntries(
    controls.filter(({ live }) => live).map((control) => [control.name, rate(control, rates[player[control.name]], onRate)]),
  );
  const box = el("div", { class: "settings-of-lab" },
    el("h2", {}, t("lab.page_rates")),
    el("p", { class: "soft small" }, t("lab.page_rates_about")),
    el("ul", {}, ...Object.values(sliders).map(({ item }) => item)),
    el("h2", {}, t("lab.page_others")),
    el("p", { class: "soft small" }, t("lab.page_others_about")),
    el("ul", {}, ...controls.filter(({ live }) => !live).map((control) => field(control, onRestart))));
  const follow = (now) => Object.entries(sliders).forEach(([name, one]) => one.follow(now[player[name]]));
  return { box, follow };
}
