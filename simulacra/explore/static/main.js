// The entry point: opens the picture that the link names, and connects buttons and keys.
import * as api from "./api.js";
import { drawControls, startControls } from "./controls.js";
import { formatNumber, otherLanguage, switchLanguage, t, translatePage } from "./messages.js";
import { byId, el, toast } from "./parts.js";
import { redraw, sides, startStage } from "./stage.js";
import { loadGallery, startStars, toggleCurrent } from "./stars.js";
import { commit, emit, fromFragment, key, on, randomSeed, redo, remember, state, tidy, toFragment, translates, undo } from "./state.js";
import { drawTabs, openTab, redrawTab, showTab, startTabs, tabAt } from "./tabs.js";

const SIDES = [256, 512, 1024];
const SAVED_SIDE = 512; // of a saved picture, if nothing else is chosen

let compare = null; // the stage of a model that translates

function random() {
  const { label, truncation, layer_truncation } = state.recipe;
  commit(tidy({ seed: randomSeed(), ...(label ? { label } : {}), truncation: truncation ?? 1, ...(layer_truncation ? { layer_truncation } : {}) }));
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    toast(t("page.copied"));
  } catch {
    toast(t("page.not_copied"));
  }
}

async function save() {
  try {
    const { recipe } = state;
    const url = URL.createObjectURL(await api.picture({ recipe, format: "png", side: Number(byId("side").value) }));
    const name = `${state.facts.name}-${recipe.seed ?? "shaped"}${recipe.edits ? "-edited" : ""}.png`;
    el("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    toast(t("page.saved"));
  } catch (error) {
    toast(error.message);
  }
}

// A dropped file: a saved picture is restored, any other is looked for in the model or translated.
async function openFiles(files) {
  const [file] = files;
  if (!file) return;
  if (compare) {
    await showTab("translate");
    compare.addFiles(files);
    return;
  }
  try {
    const saved = await api.open(file);
    if (saved.recipe) {
      commit(saved.recipe);
      toast(t(saved.model === state.facts.model ? "page.restored" : "page.other_model"));
    } else {
      await showTab("photo", true);
      (await import("./tab-photo.js")).search(file);
    }
  } catch (error) {
    toast(error.message);
  }
}

function connectDrop() {
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    byId("drop").hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) byId("drop").hidden = true;
  });
  addEventListener("drop", (event) => {
    byId("drop").hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    openFiles(event.dataTransfer.files);
  });
}

function connectSeed() {
  const field = byId("seed");
  field.addEventListener("change", () => {
    const text = field.value.trim();
    const isWord = /[^\d+\-.,\s]/.test(text); // a word names a picture, too
    const seed = isWord ? text : Number(text);
    if (!isWord && (!/^\d+$/.test(text) || seed >= 2 ** 32)) {
      toast(t("page.bad_seed"));
      field.setAttribute("aria-invalid", "true");
      return;
    }
    field.removeAttribute("aria-invalid");
    const { w, z, numbers, other, layers, ...rest } = state.recipe;
    commit({ ...rest, seed });
  });
  field.addEventListener("focus", () => field.select());
}

// Updates what follows every picture: address, seed, undo and redo.
function onSettled() {
  byId("seed").value = state.recipe.seed ?? "";
  byId("seed").placeholder = state.recipe.seed == null ? "–" : "";
  byId("undo").disabled = !state.past.length;
  byId("redo").disabled = !state.future.length;
  history.replaceState(null, "", toFragment(state.recipe));
}

const KEYS = [
  ["R", "page.key_random", random], ["Z", "page.undo", undo], ["Y", "page.redo", redo], ["L", "page.link", copyLink], ["S", "page.save", save], ["F", "page.star", toggleCurrent],
  ["1–9", "page.key_tabs", null], ["← →", "page.key_slider", null], ["?", "page.key_help", () => byId("keylist").showModal()],
];

const keys = () => compare?.KEYS ?? KEYS;

function onKey(event) {
  const typing = event.target.matches("input:not([type=range], [type=checkbox], [type=radio]), textarea, select");
  const control = event.ctrlKey || event.metaKey;
  if (control && event.key.toLowerCase() === "z" && !typing) {
    event.preventDefault();
    return translates() ? undefined : event.shiftKey ? redo() : undo();
  }
  if (typing || control || event.altKey || !byId("keyson").checked || byId("keylist").open) return undefined;
  if (/^[1-9]$/.test(event.key)) return showTab(tabAt(Number(event.key) - 1), true);
  const action = keys().find(([letter, , act]) => act && letter === event.key.toUpperCase())?.[2];
  if (action) {
    event.preventDefault();
    action();
  }
  return undefined;
}

// Writes every text of the page in its language.
function drawTexts() {
  translatePage();
  const { name: language, tag } = otherLanguage();
  Object.assign(byId("language"), { textContent: language, lang: tag });
  byId("keytable").replaceChildren(...keys().flatMap(([letter, code]) => [el("dt", {}, el("kbd", {}, letter)), el("dd", {}, t(code))]));
  if (!state.facts) return;
  const { gan, shape: [, height, width], nimg, name } = state.facts;
  document.title = t("page.title", { name });
  byId("facts").textContent = nimg == null ? t("page.facts", { gan, width, height }) : t("page.facts_trained", { gan, width, height, nimg: formatNumber(nimg) });
  if (translates()) byId("facts").append(` · ${state.facts.domains.join(" ↔ ")}`);
  else drawControls();
  drawTabs();
  redrawTab();
  emit(compare ? "language" : "strip");
}

function connectButtons() {
  byId("all-models").hidden = !api.inStudio();
  byId("random").addEventListener("click", random);
  byId("undo").addEventListener("click", undo);
  byId("redo").addEventListener("click", redo);
  byId("link").addEventListener("click", copyLink);
  byId("save").addEventListener("click", save);
  byId("keys").addEventListener("click", () => byId("keylist").showModal());
  byId("language").addEventListener("click", async () => {
    try {
      await switchLanguage();
    } catch {
      toast(t("page.unreachable"));
      return;
    }
    byId("toast").classList.remove("on"); // its text is in the other language
    drawTexts();
    if (!compare) emit("recipe", state.recipe);
  });
  addEventListener("keydown", onKey);
  addEventListener("hashchange", () => {
    const link = fromFragment(location.hash);
    if (link && !compare && key(link.recipe) !== key(state.recipe)) openLink(link);
  });
}

function openLink(link) {
  commit(link.recipe);
  if (link.model && state.facts && link.model !== state.facts.model) toast(t("page.other_model"));
}

async function showCheckpoint(name) {
  state.checkpoint = name;
  try {
    state.facts = await api.model();
    if (compare) emit("again");
    else redraw();
    drawTexts();
    if (!compare) await Promise.all([loadGallery(), loadDirections()]);
  } catch (error) {
    toast(error.message);
  }
}

async function loadDirections() {
  state.directions = (await api.directions()).directions;
  state.directionsLoaded = true;
  if (openTab() === "directions") redrawTab();
}

function fillSides() {
  const [, tall, wide] = state.facts.shape;
  const own = Math.max(tall, wide);
  byId("picture").classList.toggle("pixelated", own < 48);
  byId("side").replaceChildren(...sides(SIDES).map(({ side, text }) => el("option", { value: side, selected: side === SAVED_SIDE }, text)));
}

async function start() {
  const link = fromFragment(location.hash);
  if (link) state.recipe = link.recipe;
  drawTexts();
  startStage();
  startStars();
  startControls();
  startTabs();
  connectButtons();
  connectSeed();
  connectDrop();
  on("settled", onSettled);
  on("checkpoint", showCheckpoint);
  on("directions", () => openTab() === "directions" && redrawTab());
  try {
    state.facts = await api.model();
    byId("name").textContent = state.facts.name;
    if (translates()) {
      compare = await import("./compare.js");
      const showFirst = compare.start();
      drawTexts();
      return await showFirst();
    }
    if (!link && !state.past.length) state.recipe = (await api.first()).recipe;
    emit("recipe", state.recipe); // the picture is requested before everything else
    fillSides();
    if (link?.model && link.model !== state.facts.model) toast(t("page.other_model"));
    drawTexts();
    remember(state.recipe);
    emit("visited", state.recipe);
    emit("settled", state.recipe);
    await Promise.all([loadGallery(), loadDirections()]);
  } catch (error) {
    delete byId("waiting").dataset.t; // it now shows the error
    byId("waiting").textContent = error.message;
    toast(error.message);
  }
  return undefined;
}

start();
