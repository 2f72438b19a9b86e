// The picture, drawn as fast as it can be while something moves, and the strip of faces seen so far.
import * as api from "./api.js";
import { labelled, titled } from "./named.js";
import { byId, el, latest, say } from "./parts.js";
import { commit, key, on, state } from "./state.js";
import { t } from "./words.js";

const PAGE = crypto.randomUUID();
const THUMB = 112; // pixels of a face in the strip
const THUMB_DELAY = 350; // ms before faces without a thumbnail are drawn

let shown = ""; // the key of the recipe whose picture is on the screen
const thumbs = new Map(); // key -> canvas

const draw = latest(async (recipe) => {
  const began = performance.now();
  try {
    const bitmap = await createImageBitmap(await api.picture({ recipe, format: "auto", client: PAGE })); // decodes faster than <img>
    const canvas = byId("picture");
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    shown = `${state.checkpoint ?? ""}${key(recipe)}`;
    byId("stage").classList.add("ready");
    byId("took").textContent = `${Math.round(performance.now() - began)} ms`;
    if (state.faces.some((face) => key(face) === key(recipe)) && !state.checkpoint) thumbnail(key(recipe), bitmap);
    byId("picture").dispatchEvent(new Event("painted"));
  } catch (error) {
    if (error.status !== 429) say(error.message);
  }
}, (busy) => byId("stage").setAttribute("aria-busy", String(busy)));

function thumbnail(name, image) {
  const scale = THUMB / Math.max(image.width, image.height);
  const canvas = thumbs.get(name) ?? el("canvas", { "aria-hidden": "true" });
  canvas.width = Math.round(image.width * scale);
  canvas.height = Math.round(image.height * scale);
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  thumbs.set(name, canvas);
  strip();
}

let later = 0;
function strip() {
  const list = byId("strip");
  byId("nohistory").hidden = state.faces.length > 0;
  list.replaceChildren(
    ...state.faces.toReversed().map((face) => {
      const button = el("button", { type: "button", class: "face", "aria-label": described(face), click: () => commit(face) });
      button.setAttribute("aria-current", String(key(face) === key(state.recipe)));
      button.title = described(face);
      button.append(thumbs.get(key(face)) ?? el("span", { class: "blank" }));
      return el("li", {}, button);
    }),
  );
  clearTimeout(later);
  later = setTimeout(fill, THUMB_DELAY);
}

async function fill() {
  const missing = state.faces.filter((face) => !thumbs.has(key(face)));
  if (!missing.length || state.checkpoint || !state.facts) return;
  for (const face of missing.slice(-8)) {
    try {
      thumbnail(key(face), await createImageBitmap(await api.picture({ recipe: face, format: "auto" })));
    } catch (error) {
      state.faces = state.faces.filter((each) => each !== face); // a face that this model cannot draw
      say(error.message);
    }
  }
}

// A face in words: what tells it from others.
export function described(recipe) {
  const parts = [];
  if (recipe.seed != null) parts.push(`${t("seed")} ${recipe.seed}`);
  else parts.push(t(recipe.w ? "shaped" : "written"));
  if (recipe.label) parts.push(recipe.label.length > 40 ? t("label") : labelled(recipe.label));
  for (const [name, edit] of Object.entries(recipe.edits ?? {})) {
    const strength = edit.strength ?? edit;
    parts.push(`${titled(name)} ${strength > 0 ? "+" : "−"}${Math.abs(strength).toFixed(1)}`);
  }
  if (recipe.truncation != null) parts.push(`${t("truncation")} ${recipe.truncation.toFixed(2)}`);
  return parts.join(", ");
}

export const redraw = () => draw(state.recipe);

export function startStage() {
  on("recipe", (recipe) => {
    draw(recipe);
    byId("picture").setAttribute("aria-label", t("pictureOf", described(recipe)));
  });
  on("settled", strip);
  on("faces", strip);
}
