// What the explorer's page asks of its server, answered by the model in this file.
import { condition, toW, toZ } from "./latents.js";
import { PageError } from "./messages.js";
import { exhibit, synthesis } from "./model.js";
import { readRecord, withRecord } from "./png.js";
import { uniform } from "./random.js";

const { facts, directions: all, first: seed, source } = exhibit;
const DIGITS = 5; // of a number of w that is written down
const PIXELS = 4 * 64 * 64; // drawn at once: the stage's own pictures come in between
const RECIPE_KEYS = ["seed", "label", "truncation", "layer_truncation", "noise"]; // in a record of `simulacra sample`
const SHEET = 64; // pictures in one sheet, at most

export const inStudio = () => false;
export const osc = async () => null; // a page cannot reach other programs by itself
export const model = async () => facts;
export const first = async () => ({ recipe: { seed } });
export const directions = async () => ({ directions: all });

// --- pictures -------------------------------------------------------------------------------------------------------

const pause = () => new Promise((resolve) => setTimeout(resolve));

function canvasOf(image, width = image.width, height = image.height) {
  const own = new OffscreenCanvas(image.width, image.height);
  own.getContext("2d").putImageData(image, 0, 0);
  if (width === image.width && height === image.height) return own;
  const canvas = new OffscreenCanvas(width, height);
  const paper = canvas.getContext("2d");
  paper.imageSmoothingQuality = "high";
  paper.drawImage(own, 0, 0, width, height);
  return canvas;
}

// ImageData of a recipe for the stage; a PNG with the recipe inside where that is asked for.
export async function picture({ recipe, format, side }) {
  const [image] = await synthesis([await toW(recipe)]);
  if (format !== "png") return image;
  const scale = side ? side / Math.max(image.width, image.height) : 1;
  const canvas = canvasOf(image, Math.round(image.width * scale), Math.round(image.height * scale));
  return withRecord(await canvas.convertToBlob({ type: "image/png" }), { model: facts.model, recipe, ...source });
}

// Many small pictures: a canvas with `columns` in a row.
export async function sheet(recipes, longest = 96) {
  const [, tall, wide] = facts.shape;
  const scale = longest / Math.max(tall, wide);
  const [width, height] = [Math.round(wide * scale), Math.round(tall * scale)];
  const columns = Math.ceil(Math.sqrt(recipes.length));
  const bitmap = new OffscreenCanvas(columns * width, Math.ceil(recipes.length / columns) * height);
  const paper = bitmap.getContext("2d");
  paper.imageSmoothingQuality = "high";
  const batch = Math.max(1, Math.min(SHEET, Math.floor(PIXELS / (tall * wide))));
  for (let at = 0; at < recipes.length; at += batch) {
    const ws = await Promise.all(recipes.slice(at, at + batch).map(toW));
    (await synthesis(ws)).forEach((image, i) => {
      const [x, y] = [((at + i) % columns) * width, Math.floor((at + i) / columns) * height];
      paper.drawImage(canvasOf(image), x, y, width, height);
    });
    await pause();
  }
  return { bitmap, columns, width, height };
}

// --- numbers --------------------------------------------------------------------------------------------------------

const rounded = (w) => w.map((row) => row.slice(0, facts.w).map((value) => Number(value.toFixed(DIGITS))));

async function fullLabel(recipe) {
  const y = await condition(recipe);
  if (!y) return "";
  if (!facts.attributes) return facts.labels[y.indexOf(Math.max(...y))];
  return facts.labels.map((name, i) => `${name}=${Number(y[i].toPrecision(6))}`).join(", ");
}

export const numbers = async (recipe) => ({ z: await toZ(recipe), w: rounded(await toW(recipe)), label: await fullLabel(recipe) });

// Children of two pictures: each number, or each layer, from one of them by a coin.
export async function children(a, b, count, seed) {
  const parents = [await toW(a), await toW(b)];
  const wide = parents.some((w) => w.length > 1);
  const [one, other] = wide ? parents.map((w) => (w.length > 1 ? w : Array(facts.num_ws).fill(w[0]))) : parents;
  const size = wide ? facts.num_ws : one[0].length;
  const coins = uniform({ low: seed }, count * size);
  const label = await fullLabel(a);
  const child = (n) => one.map((row, layer) => row.map((value, i) => (coins[n * size + (wide ? layer : i)] < 0.5 ? value : other[layer][i])));
  return { recipes: Array.from({ length: count }, (_, n) => ({ w: rounded(child(n)), ...(label ? { label } : {}) })) };
}

// The recipe inside a dropped picture.
export async function open(file) {
  const record = await readRecord(file);
  const plain = record?.seed != null && !record.min_latent && Object.fromEntries(RECIPE_KEYS.filter((name) => name in record).map((name) => [name, record[name]]));
  const recipe = record?.recipe ?? plain;
  if (!recipe) throw new PageError("exhibit.no_recipe");
  await toW(recipe); // throws where this model cannot draw it
  return { model: record.model, recipe };
}

// --- stars and history, in this browser -------------------------------------------------------------------------------

const STORAGE = `simulacra.gallery.${facts.model}`;
const HISTORY = 100; // pictures
let kept = { stars: [], history: [] };
try {
  kept = { ...kept, ...JSON.parse(localStorage.getItem(STORAGE)) };
} catch {
  // storage may be forbidden or hold something else: both then begin empty
}

function keep() {
  try {
    localStorage.setItem(STORAGE, JSON.stringify(kept));
  } catch {
    // they then last as long as the page
  }
}

const without = (list, recipes) => list.filter((other) => !recipes.some((recipe) => JSON.stringify(recipe) === JSON.stringify(other)));

export const gallery = async () => kept;

export async function changeStars({ star = [], unstar = [] }) {
  kept.stars = [...without(kept.stars, [...star, ...unstar]), ...star];
  keep();
  return { stars: kept.stars };
}

export async function addHistory(recipes) {
  kept.history = [...without(kept.history, recipes), ...recipes].slice(-HISTORY);
  keep();
}
