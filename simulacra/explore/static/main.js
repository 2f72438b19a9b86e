// The page starts here: it opens the picture that the link names, and connects buttons and keys.
import * as api from "./api.js";
import { byId, el, say } from "./parts.js";
import { redraw, startStage } from "./stage.js";
import { drawStart, startStart } from "./start.js";
import { commit, emit, fromFragment, key, on, randomSeed, redo, remember, state, toFragment, translates, undo } from "./state.js";
import { drawTabs, openTab, redrawTab, showTab, startTabs, tabAt } from "./tabs.js";
import { amount, other, switchLanguage, t, translate } from "./words.js";

const SIDES = [256, 512, 1024];
const SAVED = 512; // the side of a saved picture, if nothing else is chosen

let compare = null; // the stage of a model that translates

const random = () => commit({ seed: randomSeed(), ...(state.recipe.label ? { label: state.recipe.label } : {}), ...(state.recipe.truncation != null ? { truncation: state.recipe.truncation } : {}) });

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    say(t("copied"));
  } catch {
    say(t("notCopied"));
  }
}

async function save() {
  try {
    const { recipe } = state;
    const url = URL.createObjectURL(await api.picture({ recipe, format: "png", side: Number(byId("side").value) }));
    const name = `${state.facts.name}-${recipe.seed ?? "shaped"}${recipe.edits ? "-edited" : ""}.png`;
    el("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    say(t("saved"));
  } catch (error) {
    say(error.message);
  }
}

// A file that was dropped or chosen: a picture of ours is restored, any other is looked for in the model.
async function take(files) {
  const [file] = files;
  if (!file) return;
  if (compare) {
    await showTab("translate");
    compare.take(files);
    return;
  }
  try {
    const told = await api.opened(file);
    if (told.recipe) {
      commit(told.recipe);
      say(t(told.model === state.facts.model ? "restored" : "otherModel"));
    } else {
      await showTab("photo", true);
      (await import("./tab-photo.js")).look(file);
    }
  } catch (error) {
    say(error.message);
  }
}

function dropping() {
  const files = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    byId("drop").hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) byId("drop").hidden = true;
  });
  addEventListener("drop", (event) => {
    byId("drop").hidden = true;
    if (!files(event)) return;
    event.preventDefault();
    take(event.dataTransfer.files);
  });
}

function seedField() {
  const field = byId("seed");
  const store = () => {
    const seed = Number(field.value);
    if (!/^\d+$/.test(field.value) || seed >= 2 ** 32) {
      say(t("badSeed"));
      field.setAttribute("aria-invalid", "true");
      return;
    }
    field.removeAttribute("aria-invalid");
    const { w, z, numbers, other: mixed, layers, ...rest } = state.recipe;
    commit({ ...rest, seed });
  };
  field.addEventListener("change", store);
  field.addEventListener("focus", () => field.select());
}

// What follows the picture wherever it came from: address, seed, buttons.
function follow() {
  byId("seed").value = state.recipe.seed ?? "";
  byId("seed").placeholder = state.recipe.seed == null ? "–" : "";
  byId("undo").disabled = !state.past.length;
  byId("redo").disabled = !state.future.length;
  history.replaceState(null, "", toFragment(state.recipe));
}

const KEYS = [
  ["R", "keyRandom", random], ["Z", "undo", undo], ["Y", "redo", redo], ["L", "link", copyLink], ["S", "save", save],
  ["1–7", "keyTabs", null], ["← →", "keyArrows", null], ["?", "keyHelp", () => byId("keylist").showModal()],
];

const keys = () => compare?.KEYS ?? KEYS;

function onKey(event) {
  const typing = event.target.matches("input:not([type=range], [type=checkbox], [type=radio]), textarea, select");
  const whole = event.ctrlKey || event.metaKey;
  if (whole && event.key.toLowerCase() === "z" && !typing) {
    event.preventDefault();
    return translates() ? undefined : event.shiftKey ? redo() : undo();
  }
  if (typing || whole || event.altKey || !byId("keyson").checked || byId("keylist").open) return undefined;
  if (/^[1-7]$/.test(event.key)) return showTab(tabAt(Number(event.key) - 1), true);
  const found = keys().find(([letter, , act]) => act && letter === event.key.toUpperCase());
  if (found) {
    event.preventDefault();
    found[2]();
  }
  return undefined;
}

function words() {
  translate();
  byId("language").textContent = other();
  byId("language").lang = other() === "English" ? "en" : "zh-Hans";
  byId("keytable").replaceChildren(...keys().flatMap(([letter, word]) => [el("dt", {}, el("kbd", {}, letter)), el("dd", {}, t(word))]));
  if (!state.facts) return;
  const { gan, shape, nimg, name, domains } = state.facts;
  document.title = t("title", name);
  byId("facts").textContent = nimg == null ? t("facts", gan, shape[2], shape[1]) : t("factsShown", gan, shape[2], shape[1], amount(nimg));
  if (domains.length) byId("facts").append(` · ${domains.join(" ↔ ")}`);
  else drawStart();
  drawTabs();
  redrawTab();
  emit(compare ? "words" : "faces");
}

function buttons() {
  byId("random").addEventListener("click", random);
  byId("undo").addEventListener("click", undo);
  byId("redo").addEventListener("click", redo);
  byId("link").addEventListener("click", copyLink);
  byId("save").addEventListener("click", save);
  byId("keys").addEventListener("click", () => byId("keylist").showModal());
  byId("language").addEventListener("click", async () => {
    switchLanguage();
    byId("toast").classList.remove("on"); // it speaks the other one
    words();
    if (!compare) emit("recipe", state.recipe);
    if (await api.prepare()) redrawTab(); // which may show what the server said
  });
  addEventListener("keydown", onKey);
  addEventListener("hashchange", () => {
    const told = fromFragment(location.hash);
    if (told && !compare && key(told.recipe) !== key(state.recipe)) openLink(told);
  });
}

function openLink(told) {
  commit(told.recipe);
  if (told.model && state.facts && told.model !== state.facts.model) say(t("otherModel"));
}

async function toCheckpoint(name) {
  state.checkpoint = name;
  try {
    state.facts = { ...(await api.model()), looked: state.facts.looked };
    if (compare) emit("again");
    else redraw();
    words();
    state.directions = (await api.directions()).directions;
    if (openTab() === "directions") redrawTab();
  } catch (error) {
    say(error.message);
  }
}

async function begin() {
  const told = fromFragment(location.hash);
  state.recipe = told?.recipe ?? { seed: randomSeed() };
  words();
  startStage();
  startStart();
  startTabs();
  buttons();
  seedField();
  dropping();
  on("settled", follow);
  on("checkpoint", toCheckpoint);
  try {
    state.facts = await api.model();
    byId("name").textContent = state.facts.name;
    if (translates()) {
      compare = await import("./compare.js");
      const first = compare.start();
      words();
      return await first();
    }
    emit("recipe", state.recipe); // asked for before anything else of the picture's
    const [, tall, wide] = state.facts.shape;
    const own = Math.max(tall, wide);
    byId("picture").classList.toggle("pixelated", own < 48);
    byId("side").replaceChildren(...[own, ...SIDES.filter((side) => side > own)].map((side) => el("option", { value: side, selected: side === SAVED }, `${side} px`)));
    if (told?.model && told.model !== state.facts.model) say(t("otherModel"));
    words();
    remember(state.recipe);
    emit("settled", state.recipe);
    state.directions = (await api.directions()).directions;
    state.facts.looked = true;
    if (openTab() === "directions") redrawTab();
  } catch (error) {
    delete byId("waiting").dataset.t; // it says something else now
    byId("waiting").textContent = error.message;
    say(error.message);
  }
  on("directions", () => openTab() === "directions" && redrawTab());
}

begin();
