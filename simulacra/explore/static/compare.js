// The stage of a model that translates: before and after on each other, with a divider, and what can be done with them.
import * as api from "./api.js";
import { byId, el, say } from "./parts.js";
import { on, state } from "./state.js";
import { back, changed, domain, example, now, other, result, swap, take, turn } from "./translation.js";
import { t } from "./words.js";

export { take };

const SMALL = 48; // pixels: smaller pictures are shown as squares

const before = el("canvas", { role: "img" });
const after = el("canvas", { role: "img", class: "after" });
const range = el("input", { type: "range", min: 0, max: 100, step: 1, value: 50, id: "divider" });
const tags = [el("span", { class: "tag" }), el("span", { class: "tag after" })];
const box = el("div", { class: "compare" }, before, after, el("div", { class: "line" }), ...tags, range);
const title = el("h2", { class: "unseen" });
const empty = el("p", { class: "soft empty" });
const facts = el("p", { class: "soft small about" });
const buttons = {
  save: el("button", { type: "button", class: "primary", id: "savemade", "aria-keyshortcuts": "S", click: save }),
  turn: el("button", { type: "button", id: "turn", "aria-keyshortcuts": "D", click: () => turn() }),
  back: el("button", { type: "button", id: "back", "aria-keyshortcuts": "B", click: () => back() }),
  swap: el("button", { type: "button", id: "swap", "aria-keyshortcuts": "W", click: swap }),
};

export const KEYS = [
  ["S", "save", save], ["D", "turn", () => turn()], ["B", "comesBack", () => back()], ["W", "swap", swap],
  ["1–7", "keyTabs", null], ["← →", "keyDivider", null], ["?", "keyHelp", () => byId("keylist").showModal()],
];

function save() {
  const made = result();
  if (!made) return;
  const url = URL.createObjectURL(made.blob);
  el("a", { href: url, download: made.name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  say(t("savedPng"));
}

function divide(value) {
  range.value = value;
  box.style.setProperty("--at", `${range.value}%`);
  range.setAttribute("aria-valuetext", t("dividerAt", range.value));
}

// The whole picture takes the pointer, so that a finger need not hit the divider; keys go to the range.
function dragging() {
  const move = (event) => {
    const { left, width } = box.getBoundingClientRect();
    divide(Math.round((100 * (event.clientX - left)) / width));
  };
  box.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    box.setPointerCapture(event.pointerId);
    range.focus({ preventScroll: true });
    move(event);
  });
  box.addEventListener("pointermove", (event) => box.hasPointerCapture(event.pointerId) && move(event));
  range.addEventListener("input", () => divide(range.value));
  box.addEventListener("dblclick", () => divide(50));
}

function paint(canvas, bitmap) {
  canvas.hidden = !bitmap;
  if (!bitmap || canvas.painted === bitmap) return;
  canvas.painted = bitmap;
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}

function redraw() {
  const { shown } = now;
  const given = shown?.given?.bitmap;
  const made = (now.back ? shown?.returned : shown?.made)?.bitmap;
  box.hidden = !given;
  empty.hidden = Boolean(given);
  if (given) {
    box.style.setProperty("--aspect", given.width / given.height);
    box.classList.toggle("pixelated", Math.max(given.width, given.height) < SMALL);
  }
  paint(before, given);
  paint(after, made);
  if (shown) {
    const [from, to] = [domain(other(shown.to)), domain(shown.to)];
    tags[0].textContent = t("tagGiven", from);
    tags[1].textContent = now.back ? t("tagBack", from) : to;
    tags[1].hidden = !made;
    before.setAttribute("aria-label", t("beforeOf", shown.name));
    after.setAttribute("aria-label", now.back ? t("backOf", shown.name) : t("afterOf", shown.name, to));
  }
  facts.textContent = made && !now.text() ? t("madeFacts", shown.name, made.width, made.height, shown.ms) : now.text();
  facts.classList.toggle("failed", now.failed);
  buttons.save.disabled = !made;
  buttons.swap.disabled = !shown?.made;
  buttons.back.setAttribute("aria-pressed", String(now.back));
}

function words() {
  range.setAttribute("aria-label", t("divider"));
  divide(range.value);
  title.textContent = t("beforeAfter");
  empty.textContent = t("nothingYet");
  buttons.save.textContent = t("save");
  buttons.turn.textContent = t("turn");
  buttons.back.textContent = t("comesBack");
  buttons.swap.textContent = t("swap");
  redraw();
}

// The page's first picture: one of the data, where they can be reached.
async function first() {
  try {
    const told = await api.examples();
    state.examples = told;
    await api.prepare(); // it may say why there are none
    changed();
    if (told.b || told.a) await example(told.a ? "a" : "b", 0);
  } catch (error) {
    say(error.message);
  }
  byId("stage").classList.add("ready");
}

export function start() {
  for (const child of byId("stage").children) child.hidden = true;
  byId("drop").firstElementChild.dataset.t = "dropToTranslate";
  byId("stage").append(
    title, el("figure", { class: "translated" }, box, empty), facts,
    el("div", { class: "acts" }, buttons.save, buttons.turn, buttons.back, buttons.swap),
  );
  facts.setAttribute("role", "status");
  dragging();
  on("translated", redraw);
  on("words", words);
  addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    take(event.clipboardData.files);
  });
  return first;
}
