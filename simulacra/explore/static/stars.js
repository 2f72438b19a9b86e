// Starred pictures and the history, which the server keeps beside the model: for every page, and after a reload.
import * as api from "./api.js";
import { t } from "./messages.js";
import { byId, toast } from "./parts.js";
import { canonical, emit, key, on, state, translates } from "./state.js";

let names = new Set(); // canonical texts of the starred recipes
let queue = Promise.resolve(); // changes are sent in their order

export const isStarred = (recipe) => names.has(canonical(recipe));

function setStars(stars) {
  state.stars = stars;
  names = new Set(stars.map(canonical));
  emit("stars");
}

// Only the change is sent, so that two pages do not undo each other's.
export function toggleStar(recipe) {
  const starred = isStarred(recipe);
  const before = state.stars;
  setStars(starred ? before.filter((other) => canonical(other) !== canonical(recipe)) : [...before, recipe]);
  queue = queue.then(async () => {
    try {
      setStars((await api.changeStars(starred ? { unstar: [recipe] } : { star: [recipe] })).stars);
    } catch (error) {
      setStars(before);
      toast(error.message);
    }
  });
}

let refused = ""; // the last refusal to keep the history; it is shown once

function keepVisited(recipe) {
  if (!state.facts || translates()) return;
  queue = queue.then(async () => {
    try {
      await api.addHistory([recipe]);
      refused = "";
    } catch (error) {
      if (error.message !== refused) toast(error.message);
      refused = error.message;
    }
  });
}

// What the server keeps: once for the opened model with its history, and for each checkpoint.
export async function loadGallery() {
  try {
    const { stars, history } = await api.gallery();
    if (!state.checkpoint) {
      const visited = new Set(state.strip.map(key));
      state.strip = [...history.filter((recipe) => !visited.has(key(recipe))), ...state.strip];
      emit("strip");
    }
    setStars(stars);
  } catch (error) {
    toast(error.message);
  }
}

export const toggleCurrent = () => toggleStar(state.recipe);

function drawStar() {
  byId("star").setAttribute("aria-pressed", String(isStarred(state.recipe)));
}

export function startStars() {
  byId("star").addEventListener("click", toggleCurrent);
  on("visited", keepVisited);
  on("strip", () => (names = new Set(state.stars.map(canonical)))); // a direction may have another name
  for (const event of ["stars", "recipe", "settled"]) on(event, drawStar);
}

export const starLabel = (description) => t("page.star_of", { description });
