// What the page knows: the recipe that is shown, how it came about, and the faces seen so far.

const KEPT = 200; // steps that can be undone
const FACES = 60; // in the history

export const state = {
  recipe: { seed: 0 },
  checkpoint: null, // another of the run's checkpoints
  facts: null,
  directions: [],
  faces: [], // recipes, newest last
  past: [],
  future: [],
};

// Whether this model makes pictures of pictures, not of numbers.
export const translates = () => Boolean(state.facts?.domains.length);

const listeners = {};
export const on = (what, heard) => (listeners[what] ??= []).push(heard);
export const emit = (what, detail) => (listeners[what] ?? []).forEach((heard) => heard(detail));

export const key = (recipe) => JSON.stringify(recipe);
export const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;

let settled = null; // the recipe before the present drag

// The picture as it is being changed; `commit` makes it a step.
export function change(recipe) {
  settled ??= state.recipe;
  state.recipe = recipe;
  emit("recipe", recipe);
}

// The picture as one step that can be undone.
export function commit(recipe = state.recipe) {
  const before = settled ?? state.recipe;
  settled = null;
  const moved = key(recipe) !== key(state.recipe);
  state.recipe = recipe;
  if (key(before) !== key(recipe)) {
    state.past = [...state.past.slice(-KEPT), before];
    state.future = [];
    remember(recipe);
  }
  if (moved) emit("recipe", recipe);
  emit("settled", recipe);
}

export function remember(recipe) {
  state.faces = [...state.faces.filter((face) => key(face) !== key(recipe)), recipe].slice(-FACES);
  emit("faces");
}

function travel(from, to) {
  if (!from.length) return;
  to.push(state.recipe);
  state.recipe = from.pop();
  settled = null;
  emit("recipe", state.recipe);
  emit("settled", state.recipe);
}
export const undo = () => travel(state.past, state.future);
export const redo = () => travel(state.future, state.past);

// A recipe without the keys that say nothing.
export function tidy(recipe) {
  const made = { ...recipe };
  for (const name of ["edits", "numbers"]) if (made[name] && !Object.keys(made[name]).length) delete made[name];
  if (made.truncation === 1) delete made.truncation;
  if (made.label === "") delete made.label;
  return made;
}

export function withEdit(recipe, name, edit) {
  const edits = { ...recipe.edits };
  if (edit && edit.strength) edits[name] = edit;
  else delete edits[name];
  return tidy({ ...recipe, edits });
}

export function withNumber(recipe, index, value) {
  return tidy({ ...recipe, numbers: { ...recipe.numbers, [index]: value } });
}

// Another name for a direction, wherever a recipe uses it.
export function renamed(old, name) {
  const inRecipe = (recipe) => {
    const made = { ...recipe };
    if (made.other) made.other = inRecipe(made.other);
    if (made.edits) made.edits = Object.fromEntries(Object.entries(made.edits).map(([k, v]) => [k === old ? name : k, v]));
    return made;
  };
  state.recipe = inRecipe(state.recipe);
  for (const list of ["faces", "past", "future"]) state[list] = state[list].map(inRecipe);
}

// After a search: edits by directions that are no more are left out, so that their pictures can still be drawn.
export function pruned(names) {
  const inRecipe = (recipe) => {
    const made = { ...recipe };
    if (made.other) made.other = inRecipe(made.other);
    if (made.edits) made.edits = Object.fromEntries(Object.entries(made.edits).filter(([name]) => names.has(name)));
    return tidy(made);
  };
  for (const list of ["faces", "past", "future"]) state[list] = state[list].map(inRecipe);
  const now = inRecipe(state.recipe);
  if (key(now) !== key(state.recipe)) commit(now);
}

// --- links: #BASE64URL of {model, recipe} -----------------------------------------------------------------------

export function toFragment(recipe) {
  const bytes = new TextEncoder().encode(JSON.stringify({ model: state.facts?.model, recipe }));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return `#${btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

// {model, recipe}, or null for a fragment that is none.
export function fromFragment(fragment) {
  try {
    const text = atob(fragment.slice(1).replaceAll("-", "+").replaceAll("_", "/"));
    const told = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
    return told && typeof told.recipe === "object" && told.recipe ? told : null;
  } catch {
    return null; // what somebody typed there
  }
}
