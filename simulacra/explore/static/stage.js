// The picture, redrawn as fast as the server answers while a slider moves, and the strip of earlier pictures.
import * as api from "./api.js";
import { directionTitle, labelText } from "./directions.js";
import { t } from "./messages.js";
import { byId, el, latest, tile, toast } from "./parts.js";
import { commit, key, on, state } from "./state.js";

const CLIENT = `${performance.timeOrigin}-${Math.random()}`; // this page's name for the server
const THUMB = 112; // pixels of a picture in the strip
const THUMB_DELAY = 350; // ms before missing thumbnails are drawn
const TOGETHER = 8; // thumbnails in one request

const thumbnails = new Map(); // key -> canvas

const draw = latest(async (recipe) => {
  const start = performance.now();
  try {
    const bitmap = await createImageBitmap(await api.picture({ recipe, format: "auto", client: CLIENT })); // decodes faster than <img>
    const canvas = byId("picture");
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    byId("stage").classList.add("ready");
    byId("took").textContent = `${Math.round(performance.now() - start)} ms`;
    if (state.strip.some((other) => key(other) === key(recipe)) && !state.checkpoint) setThumbnail(key(recipe), bitmap);
    byId("picture").dispatchEvent(new Event("painted"));
  } catch (error) {
    if (error.status !== 429) toast(error.message);
  }
}, (busy) => byId("stage").setAttribute("aria-busy", String(busy)));

function setThumbnail(name, image) {
  const scale = THUMB / Math.max(image.width, image.height);
  const canvas = thumbnails.get(name) ?? el("canvas", { "aria-hidden": "true" });
  canvas.width = Math.round(image.width * scale);
  canvas.height = Math.round(image.height * scale);
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  thumbnails.set(name, canvas);
  drawStrip();
}

// Thumbnails are drawn once they are in view: the history may be long.
const seen = new Set(); // keys
let timer = 0;
const observer = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) seen.add(target.dataset.key);
  clearTimeout(timer);
  timer = setTimeout(drawMissingThumbnails, THUMB_DELAY);
});

function drawStrip() {
  byId("history-empty").hidden = state.strip.length > 0;
  observer.disconnect();
  seen.clear();
  byId("strip").replaceChildren(
    ...state.strip.toReversed().map((recipe) => {
      const name = key(recipe);
      const text = describe(recipe);
      const button = el("button", { type: "button", class: "face", "aria-label": text, title: text, click: () => commit(recipe) });
      button.setAttribute("aria-current", String(name === key(state.recipe)));
      button.append(thumbnails.get(name) ?? el("span", { class: "blank", "data-key": name }));
      return el("li", {}, button);
    }),
  );
  for (const blank of byId("strip").querySelectorAll(".blank")) observer.observe(blank);
}

async function drawMissingThumbnails() {
  if (state.checkpoint || !state.facts) return;
  const missing = state.strip.filter((recipe) => seen.has(key(recipe)) && !thumbnails.has(key(recipe))).slice(-TOGETHER);
  if (missing.length) await drawThumbnails(missing);
}

// Draws pictures of the strip. Where one of them cannot be drawn, each is asked for by itself.
async function drawThumbnails(recipes) {
  try {
    const { bitmap, columns, width, height } = await api.sheet(recipes, THUMB);
    recipes.forEach((recipe, i) => thumbnails.set(key(recipe), tile(bitmap, i, columns, width, height)));
  } catch (error) {
    if (error.status === 400 && recipes.length > 1) for (const recipe of recipes) await drawThumbnails([recipe]);
    else if (error.status === 400) state.strip = state.strip.filter((other) => other !== recipes[0]); // this model cannot draw it
    else toast(error.message);
    if (error.status !== 400) return;
  }
  drawStrip();
}

// A picture in words that tell it from others.
export function describe(recipe) {
  const parts = [];
  if (recipe.seed != null) parts.push(`${t("page.seed")} ${recipe.seed}`);
  else parts.push(t(recipe.w ? "page.from_w" : "page.from_z"));
  if (recipe.label) parts.push(recipe.label.length > 40 ? t("page.label") : labelText(recipe.label));
  for (const [name, edit] of Object.entries(recipe.edits ?? {})) {
    const strength = edit.strength ?? edit;
    parts.push(`${directionTitle(name)} ${strength > 0 ? "+" : "−"}${Math.abs(strength).toFixed(1)}`);
  }
  if (recipe.truncation != null) parts.push(`${t("page.truncation")} ${recipe.truncation.toFixed(2)}`);
  for (const [layers, psi] of Object.entries(recipe.layer_truncation ?? {})) parts.push(`${t("page.truncation")} ${layers} ${psi.toFixed(2)}`);
  if (recipe.noise != null) parts.push(`${t("page.noise")} ${recipe.noise}`);
  return parts.join(", ");
}

export const redraw = () => draw(state.recipe);

export function startStage() {
  on("recipe", (recipe) => {
    draw(recipe);
    byId("picture").setAttribute("aria-label", t("page.picture_of", { description: describe(recipe) }));
  });
  on("settled", drawStrip);
  on("strip", drawStrip);
}

// The sizes to choose from, in px of the longer side: the model's own, those of its upscalers, and larger `others`.
export function sides(others) {
  const own = Math.max(...state.facts.shape.slice(1));
  const upscaled = (state.facts.factors ?? []).map((factor) => own * factor);
  const all = new Set([own, ...upscaled, ...others.filter((side) => side > own)]);
  const text = (side) => (upscaled.includes(side) ? t("page.upscaled", { side }) : `${side} px`);
  return [...all].sort((a, b) => a - b).map((side) => ({ side, text: text(side) }));
}
