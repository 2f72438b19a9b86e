// From recipes to w, as `simulacra.latent.recipe` does it. w is a list of rows: one, or one for each layer.
import { interpolateZ, lerp } from "./arcs.js";
import { PageError } from "./messages.js";
import { average, bank, exhibit, mapping, vectors } from "./model.js";
import { integer, normal, seedOf, uniform } from "./random.js";

const LABEL = 7; // NumPy's stream for the label of a seed
const BANK_BITS = 10; // of the number of labels in the bank

const { facts, directions } = exhibit;
const wrong = () => new PageError("exhibit.not_drawable");

// The numbers of attributes and classes in a label, with their values.
function parseLabel(label) {
  const values = new Map();
  const numberOf = (name) => {
    const index = facts.labels.indexOf(name);
    const number = index < 0 && /^\d+$/.test(name) ? Number(name) : index;
    if (number < 0 || number >= facts.labels.length) throw wrong();
    return number;
  };
  const text = (label ?? "").trim();
  if (!text) return values;
  if (!facts.attributes || facts.labels.includes(text)) return values.set(numberOf(text), 1);
  for (const word of text.split(",")) {
    const [name, amount = "1"] = word.split("=").map((part) => part.trim());
    if (!(Number(amount) >= 0 && Number(amount) <= 1)) throw wrong();
    values.set(numberOf(name), Number(amount));
  }
  return values;
}

// The condition y of a recipe; null for a model without labels. What the label leaves open comes from a training label.
export async function condition({ seed = 0, label }) {
  const count = facts.labels.length;
  const values = parseLabel(label);
  if (!count) return null;
  const oneHot = (number) => facts.labels.map((_, i) => (i === number ? 1 : 0));
  if (values.size && !facts.attributes) return oneHot([...values.keys()][0]);
  const row = integer(await seedOf(seed), LABEL, BANK_BITS);
  if (!facts.attributes) return oneHot(bank[row]);
  const y = Array.from(bank.subarray(row * count, (row + 1) * count));
  const groupOf = (i) => (facts.labels[i].includes(":") ? facts.labels[i].split(":")[0] : "");
  const totals = new Map();
  for (const [number, value] of values) totals.set(groupOf(number), (totals.get(groupOf(number)) ?? 0) + value);
  totals.delete("");
  for (let i = 0; i < count; i++) if (totals.has(groupOf(i))) y[i] *= Math.max(0, 1 - totals.get(groupOf(i))); // `hair: red` leaves no other hair
  for (const [number, value] of values) y[number] = value;
  return y;
}

const isRow = (row, size) => Array.isArray(row) && row.length === size && row.every(Number.isFinite);

// The z that a recipe starts from; null where it starts from w.
export async function toZ({ seed, z, w, numbers = {} }) {
  if (w) return null;
  if (z && !isRow(z, facts.z)) throw wrong();
  const start = z ?? Array.from(facts.prior === "uniform" ? uniform(await seedOf(seed ?? 0), facts.z).map((x) => 2 * x - 1) : normal(await seedOf(seed ?? 0), facts.z));
  return start.map((value, i) => numbers[i] ?? value);
}

async function start(recipe, y) {
  const { w } = recipe;
  if (!w) return [await mapping(await toZ(recipe), y)];
  const rows = Array.isArray(w[0]) ? w : [w];
  if (![1, facts.num_ws].includes(rows.length) || !rows.every((row) => isRow(row, facts.w))) throw wrong();
  return facts.num_ws ? rows : [await mapping(rows[0], y)];
}

const perLayer = (w) => (w.length === 1 ? Array(facts.num_ws).fill(w[0]) : w);

// w with `change` applied to the rows of some layers [first, end), or to all where there are none.
function inLayers(w, layers, change) {
  if (!layers) return w.map(change);
  const [first, end] = layers;
  if (!(first >= 0 && first < end && end <= facts.num_ws)) throw wrong();
  return perLayer(w).map((row, layer) => (layer >= first && layer < end ? change(row, layer) : row));
}

function truncate(w, psi, layers) {
  if (!facts.truncation || !Number.isFinite(psi)) throw wrong();
  if (facts.truncation === "average") return inLayers(w, layers, (row) => lerp(Array.from(average), row, psi));
  if (layers) throw wrong();
  return w.map((row) => [...interpolateZ(average, row.slice(0, facts.z), psi, facts.prior), ...row.slice(facts.z)]);
}

function move(w, name, edit) {
  const index = directions.findIndex((direction) => direction.name === name);
  if (index < 0) throw wrong();
  const strength = edit.strength ?? edit;
  const vector = vectors.subarray(index * facts.w, (index + 1) * facts.w);
  return inLayers(w, edit.layers ?? directions[index].layers, (row) => row.map((value, i) => value + (i < facts.w ? strength * vector[i] : 0)));
}

// `0-3` -> [0, 4].
function parseLayers(text) {
  const [first, last = first] = text.split("-").map(Number);
  return [first, last + 1];
}

// Throws for a recipe that this model cannot follow.
export async function toW(recipe) {
  if (recipe.noise != null) throw wrong();
  const y = await condition(recipe);
  let w = await start(recipe, y);
  if (recipe.other) {
    const other = perLayer(await toW(recipe.other));
    w = inLayers(w, recipe.layers ?? [0, facts.num_ws], (_, layer) => other[layer]);
  }
  if ((recipe.truncation ?? 1) !== 1) w = truncate(w, recipe.truncation);
  for (const [layers, psi] of Object.entries(recipe.layer_truncation ?? {})) w = truncate(w, psi, parseLayers(layers));
  for (const [name, edit] of Object.entries(recipe.edits ?? {})) w = move(w, name, edit);
  return w;
}
