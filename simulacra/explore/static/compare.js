// The stage of a model that translates: before and after on top of each other, a divider, and buttons.
import * as api from "./api.js";
import { t } from "./messages.js";
import { byId, el, toast } from "./parts.js";
import { on, state } from "./state.js";
import { addFiles, current, domainName, emitChange, opposite, result, showExample, toggleCycle, turn, useResult } from "./translation.js";

export { addFiles };

const SMALL = 48; // pixels: smaller pictures are shown with sharp pixels

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
  cycle: el("button", { type: "button", id: "back", "aria-keyshortcuts": "B", click: toggleCycle }),
  use: el("button", { type: "button", id: "swap", "aria-keyshortcuts": "W", click: useResult }),
};

export const KEYS = [
  ["S", "page.save", save], ["D", "page.turn", () => turn()], ["B", "page.cycle", toggleCycle], ["W", "page.use_result", useResult],
  ["1–9", "page.key_tabs", null], ["← →", "page.key_divider", null], ["?", "page.key_help", () => byId("keylist").showModal()],
];

function save() {
  const file = result();
  if (!file) return;
  const url = URL.createObjectURL(file.blob);
  el("a", { href: url, download: file.name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  toast(t("page.saved_png"));
}

function setDivider(percent) {
  range.value = percent;
  box.style.setProperty("--at", `${range.value}%`);
  range.setAttribute("aria-valuetext", t("page.divider_at", { percent: range.value }));
}

// The whole picture takes the pointer, so that a finger need not hit the divider. Keys go to the range.
function connectDragging() {
  const move = (event) => {
    const { left, width } = box.getBoundingClientRect();
    setDivider(Math.round((100 * (event.clientX - left)) / width));
  };
  box.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    box.setPointerCapture(event.pointerId);
    range.focus({ preventScroll: true });
    move(event);
  });
  box.addEventListener("pointermove", (event) => box.hasPointerCapture(event.pointerId) && move(event));
  range.addEventListener("input", () => setDivider(range.value));
  box.addEventListener("dblclick", () => setDivider(50));
}

function paint(canvas, bitmap) {
  canvas.hidden = !bitmap;
  if (!bitmap || canvas.painted === bitmap) return;
  canvas.painted = bitmap;
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}

function redraw() {
  const { item, cycle } = current;
  const input = item?.input?.bitmap;
  const output = (cycle ? item?.back : item?.output)?.bitmap;
  box.hidden = !input;
  empty.hidden = Boolean(input);
  if (input) {
    box.style.setProperty("--aspect", input.width / input.height);
    box.classList.toggle("pixelated", Math.max(input.width, input.height) < SMALL);
  }
  paint(before, input);
  paint(after, output);
  if (item) {
    const { name } = item;
    const [source, target] = [domainName(opposite(item.to)), domainName(item.to)];
    tags[0].textContent = t("page.tag_before", { domain: source });
    tags[1].textContent = cycle ? t("page.tag_cycle", { domain: source }) : target;
    tags[1].hidden = !output;
    before.setAttribute("aria-label", t("page.before_of", { name }));
    after.setAttribute("aria-label", cycle ? t("page.cycle_of", { name }) : t("page.after_of", { name, domain: target }));
  }
  facts.textContent = output && !current.text() ? t("page.result_facts", { name: item.name, width: output.width, height: output.height, ms: item.ms }) : current.text();
  facts.classList.toggle("failed", current.failed);
  buttons.save.disabled = !output;
  buttons.use.disabled = !item?.output;
  buttons.cycle.setAttribute("aria-pressed", String(cycle));
}

function drawTexts() {
  range.setAttribute("aria-label", t("page.divider"));
  setDivider(range.value);
  title.textContent = t("page.before_after");
  empty.textContent = t("page.drop_first");
  buttons.save.textContent = t("page.save");
  buttons.turn.textContent = t("page.turn");
  buttons.cycle.textContent = t("page.cycle");
  buttons.use.textContent = t("page.use_result");
  redraw();
}

// The examples of the data, or why there are none, in the page's language.
async function loadExamples() {
  try {
    state.examples = await api.examples();
    emitChange();
  } catch (error) {
    toast(error.message);
  }
}

// Shows the page's first picture: an example of the data, where there is one.
async function showFirst() {
  await loadExamples();
  const { a, b } = state.examples ?? {};
  if (a || b) await showExample(a ? "a" : "b", 0);
  byId("stage").classList.add("ready");
}

export function start() {
  for (const child of byId("stage").children) child.hidden = true;
  byId("drop").firstElementChild.dataset.t = "page.drop_to_translate";
  byId("stage").append(
    title, el("figure", { class: "translated" }, box, empty), facts,
    el("div", { class: "acts" }, buttons.save, buttons.turn, buttons.cycle, buttons.use),
  );
  facts.setAttribute("role", "status");
  connectDragging();
  on("translated", redraw);
  on("language", () => {
    drawTexts();
    if (state.examples?.why) loadExamples();
  });
  addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    addFiles(event.clipboardData.files);
  });
  return showFirst;
}
