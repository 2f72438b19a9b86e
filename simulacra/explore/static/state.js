// The state of the page: the current recipe, its undo history, and the strip of earlier pictures.

const MAX_UNDO = 200; // steps
const MAX_STRIP = 200; // pictures, as the server keeps them

export const state = {
  recipe: { seed: 0 },
  checkpoint: null, // another of the run's checkpoints than the opened one
  facts: null, // of the model, from the server
  directions: [],
  directionsLoaded: false,
  strip: [], // recipes, newest last
  stars: [], // recipes, newest last
  past: [],
  future: [],
};

// Whether this model translates pictures, instead of drawing them from numbers.
export const translates = () => state.facts?.task === "translate";

const listeners = {};
export const on = (event, listener) => (listeners[event] ??= []).push(listener);
export const emit = (event, detail) => (listeners[event] ?? []).forEach((listener) => listener(detail));

export const key = (recipe) => JSON.stringify(recipe);
// A recipe's text, whatever the order of its keys, and whether it came from the page or the server.
export function canonical(recipe) {
  const plain = { ...tidy(recipe) };
  if (plain.other) plain.other = JSON.parse(canonical(plain.other));
  if (plain.edits) plain.edits = Object.fromEntries(Object.entries(plain.edits).map(([name, edit]) => [name, typeof edit === "number" ? { strength: edit } : edit]));
  const sorted = (value) => (value && typeof value === "object" && !Array.isArray(value) ? Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])])) : value);
  return JSON.stringify(sorted(plain));
}

export const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;

let beforeDrag = null; // the recipe before the current drag

// Show a recipe while it is being changed; `commit` makes it an undo step.
export function change(recipe) {
  beforeDrag ??= state.recipe;
  state.recipe = recipe;
  emit("recipe", recipe);
}

// Show a recipe as one undo step.
export function commit(recipe = state.recipe) {
  const before = beforeDrag ?? state.recipe;
  beforeDrag = null;
  const moved = key(recipe) !== key(state.recipe);
  state.recipe = recipe;
  if (key(before) !== key(recipe)) {
    state.past = [...state.past.slice(-MAX_UNDO), before];
    state.future = [];
    remember(recipe);
    emit("visited", recipe);
  }
  if (moved) emit("recipe", recipe);
  emit("settled", recipe);
}

export function remember(recipe) {
  state.strip = [...state.strip.filter((other) => key(other) !== key(recipe)), recipe].slice(-MAX_STRIP);
  emit("strip");
}

function travel(from, to) {
  if (!from.length) return;
  to.push(state.recipe);
  state.recipe = from.pop();
  beforeDrag = null;
  emit("recipe", state.recipe);
  emit("settled", state.recipe);
}
export const undo = () => travel(state.past, state.future);
export const redo = () => travel(state.future, state.past);

// A recipe without keys that change nothing.
export function tidy(recipe) {
  const copy = { ...recipe };
  if (copy.layer_truncation) {
    const entries = Object.entries(copy.layer_truncation).filter(([, value]) => value !== undefined);
    copy.layer_truncation = Object.fromEntries(entries);
  }
  for (const name of ["edits", "numbers", "layer_truncation"]) if (copy[name] && !Object.keys(copy[name]).length) delete copy[name];
  if (copy.truncation === 1) delete copy.truncation;
  if (copy.noise == null) delete copy.noise;
  if (copy.label === "") delete copy.label;
  return copy;
}

export function withEdit(recipe, name, edit) {
  const edits = { ...recipe.edits };
  if (edit && edit.strength) edits[name] = edit;
  else delete edits[name];
  return tidy({ ...recipe, edits });
}

// A recipe with a truncation of some layers only, such as "0-3".
export function withLayerTruncation(recipe, layers, value) {
  return tidy({ ...recipe, layer_truncation: { ...recipe.layer_truncation, [layers]: value === 1 ? undefined : value } });
}

export function withNumber(recipe, index, value) {
  return tidy({ ...recipe, numbers: { ...recipe.numbers, [index]: value } });
}

// A copy of a recipe, and of those inside it, with its edits as [name, edit] changed by `map`.
function mapEdits(recipe, map) {
  const copy = { ...recipe };
  if (copy.other) copy.other = mapEdits(copy.other, map);
  if (copy.edits) copy.edits = Object.fromEntries(map(Object.entries(copy.edits)));
  return tidy(copy);
}

// Rename a direction in all recipes.
export function renameDirection(old, name) {
  const update = (recipe) => mapEdits(recipe, (edits) => edits.map(([edited, edit]) => [edited === old ? name : edited, edit]));
  state.recipe = update(state.recipe);
  for (const list of ["strip", "stars", "past", "future"]) state[list] = state[list].map(update);
}

// Drop edits by directions that no longer exist, so that their pictures can still be drawn.
export function dropOtherEdits(names) {
  const update = (recipe) => mapEdits(recipe, (edits) => edits.filter(([name]) => names.has(name)));
  for (const list of ["strip", "past", "future"]) state[list] = state[list].map(update);
  const current = update(state.recipe);
  if (key(current) !== key(state.recipe)) commit(current);
}

// --- links: #BASE64URL of {model, recipe} -----------------------------------------------------------------------

export function toFragment(recipe) {
  const bytes = new TextEncoder().encode(JSON.stringify({ model: state.facts?.model, recipe }));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return `#${btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

// {model, recipe}, or null for any other fragment.
export function fromFragment(fragment) {
  try {
    const text = atob(fragment.slice(1).replaceAll("-", "+").replaceAll("_", "/"));
    const link = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
    return link && typeof link.recipe === "object" && link.recipe ? link : null;
  } catch {
    return null; // typed by a person
  }
}
