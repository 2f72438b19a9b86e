// The entry point: the choice of target, GAN and preset, and the view of what is chosen. The address names the experiment.
import { otherLanguage, switchLanguage, t, translatePage } from "/static/messages.js";
import { byId, el, select, toast } from "/static/parts.js";
import * as distances from "./distances.js";
import * as experiment from "./experiment.js";
import * as api from "./requests.js";

const FIRST = { target: "ring", gan: "dcgan", seed: 0, settings: {} };
const FIELDS = ["target", "gan", "seed", "preset"]; // of the address; everything else is a setting

let choices;
let chosen = fromAddress();
let current = null; // the experiment
let view = null;
const speed = { steps: 10 };

// "#target=ring&gan=mlp&seed=0&lr=0.001" -> {target, gan, seed, settings}
function fromAddress() {
  const words = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const settings = Object.fromEntries(Object.entries(words).filter(([name]) => !FIELDS.includes(name)));
  const seed = /^\d{1,10}$/.test(words.seed ?? "") ? Number(words.seed) : FIRST.seed;
  return { target: words.target ?? FIRST.target, gan: words.gan ?? FIRST.gan, seed, preset: words.preset, settings };
}

const same = (a, b) => JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort());

function toAddress() {
  const { target, gan, seed, preset, settings } = chosen;
  const words = target === "distances" ? { target } : { target, gan, seed, ...(preset ? { preset } : {}), ...settings };
  history.replaceState(null, "", `#${new URLSearchParams(words)}`);
}

// Begins what is chosen; a refusal leaves everything as it was. Begins run one after the other.
let last = Promise.resolve();
function begin(change = {}, { playing = false } = {}) {
  last = last.then(async () => {
    const next = { ...chosen, ...change };
    try {
      const begun = next.target === "distances" ? null : await experiment.begin(next);
      [chosen, current] = [next, begun];
      toAddress();
    } catch (error) {
      toast(error.message);
      if (!current && next !== FIRST) chosen = FIRST; // an address that names nothing
    }
    if (!current && chosen === FIRST) current = await experiment.begin(FIRST);
    await draw();
    if (playing) view?.play?.();
  });
  return last;
}

function header() {
  const { target, gan, preset } = chosen;
  const bold = choices.presets.find(({ name }) => name === preset);
  const about = choices.targets.find(({ name }) => name === target)?.about;
  const facts = choices.gans.find(({ name }) => name === gan);
  const withGan = target !== "distances";
  const presets = choices.presets.map((one) =>
    el("button", { type: "button", "aria-pressed": String(one.name === preset), click: () =>
      begin({ target: one.target, gan: one.gan, seed: one.seed, settings: one.settings, preset: one.name }, { playing: true }) }, one.title));
  return el("div", { class: "choices-of-lab" },
    el("div", { class: "row" },
      el("label", { class: "field" }, t("lab.page_target"),
        select(t("lab.page_target"), choices.targets.map(({ name, title }) => [name, title]), target, (name) => begin({ target: name, preset: null }), { id: "target" })),
      withGan && el("label", { class: "field" }, t("lab.page_gan"),
        select(t("lab.page_gan"), choices.gans.map(({ name }) => [name, name]), gan, (name) => begin({ gan: name, settings: {}, preset: null }), { id: "gan" })),
      el("span", { class: "row presets" }, ...presets)),
    el("p", { class: "about-target" }, bold ? bold.about : about),
    withGan && facts && el("p", { class: "soft small formulas" }, ...[facts.title, `D: ${facts.formulas[0]}`, `G: ${facts.formulas[1]}`].map((text) => el("span", {}, text))));
}

// What a control is called, by which it is found again after everything is drawn anew.
const called = (node) => `${node.tagName} ${node.getAttribute("aria-label") ?? node.labels?.[0]?.textContent ?? node.textContent}`;

async function draw() {
  view?.close();
  view = null;
  const box = byId("view");
  const focused = box.contains(document.activeElement) && called(document.activeElement);
  const body = el("div", { class: chosen.target === "distances" ? "distances" : "experiment" });
  box.replaceChildren(header(), body);
  try {
    if (chosen.target === "distances") view = await distances.draw(body);
    else if (current) view = experiment.draw(body, current, speed, {
      onRestart: (change) => begin({ ...change, preset: same(change.settings, chosen.settings) ? chosen.preset : null }),
    });
  } catch (error) {
    toast(error.message);
  }
  if (focused) [...box.querySelectorAll("button, input, select")].find((node) => called(node) === focused)?.focus({ preventScroll: true });
}

function drawTexts() {
  translatePage();
  document.title = t("lab.page_title");
  const { name, tag } = otherLanguage();
  Object.assign(byId("language"), { textContent: name, lang: tag });
}

byId("language").addEventListener("click", async () => {
  try {
    await switchLanguage();
    drawTexts();
    choices = await api.choices();
    if (current) Object.assign(current, await api.describe(current.id));
    await draw();
  } catch (error) {
    toast(error.message);
  }
});

// Space plays and pauses, an arrow steps, where no control has a use of its own for the key.
addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, select, textarea, summary")) return;
  if (key === " " && !target.closest("button, a")) view?.toggle();
  else if (key === "ArrowRight") view?.step();
  else return;
  event.preventDefault();
});

byId("all-models").hidden = location.pathname !== "/lab"; // there is a library where the studio serves the page
drawTexts();
try {
  choices = await api.choices();
  await begin();
} catch (error) {
  toast(error.message);
}
