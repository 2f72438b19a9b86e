// A walk on the stage through starred, random or earlier pictures, drawn as fast as this machine can.
import * as api from "./api.js";
import * as live from "./live.js";
import { formatNumber, t } from "./messages.js";
import { byId, el, offNote, select, slider, tile, toast } from "./parts.js";
import { describe } from "./stage.js";
import { commit, randomSeed, state } from "./state.js";
import { keyframeWay } from "./ways.js";

const STOPS = 12; // pictures of a walk
const THUMB = 96; // px

const view = { source: "random", seconds: 2 }; // outlives the panel
let random = []; // recipes
let chosen = null; // starred recipes that the gallery has sent here

const newStops = () => (random = Array.from({ length: STOPS }, () => ({ seed: randomSeed() })));

const SOURCES = {
  random: () => (random.length ? random : newStops()),
  stars: () => chosen ?? state.stars.slice(-STOPS),
  history: () => state.strip.slice(-STOPS),
};

// Go through these starred pictures, the first ones of them.
export function through(recipes) {
  chosen = recipes.slice(0, STOPS);
  view.source = "stars";
}

export function draw(panel) {
  const list = el("ul", { class: "faces" });
  const few = offNote(t("exhibit.walk_few"));
  const other = el("button", { type: "button", class: "quiet", click: () => {
    newStops();
    show();
  } }, t("page.others"));
  let stops = [];
  const stop = () => {
    if (live.isPlaying()) {
      live.stop();
      commit(state.recipe);
    }
    start.textContent = t("exhibit.walk_start");
  };
  const mark = (at) => list.querySelectorAll(".face").forEach((face, i) => face.setAttribute("aria-current", String(i === Math.floor(at * stops.length))));
  const start = el("button", { type: "button", class: "primary", click: async () => {
    if (live.isPlaying()) return stop();
    try {
      const way = await keyframeWay(stops, "smooth");
      live.play(() => ({ routes: [], way, seconds: view.seconds * stops.length }), mark);
      start.textContent = t("page.stop");
    } catch (error) {
      toast(error.message);
    }
    return undefined;
  } }, t("exhibit.walk_start"));
  const show = async () => {
    stop();
    stops = SOURCES[view.source]();
    other.hidden = view.source !== "random";
    few.hidden = stops.length > 1;
    start.disabled = stops.length < 2;
    try {
      const drawn = stops.length ? await api.sheet(stops, THUMB) : null;
      list.replaceChildren(...stops.map((recipe, i) => {
        const button = el("button", { type: "button", class: "face", "aria-label": describe(recipe), title: describe(recipe), click: () => commit(recipe) });
        button.append(tile(drawn.bitmap, i, drawn.columns, drawn.width, drawn.height));
        return el("li", {}, button);
      }));
    } catch (error) {
      toast(error.message);
    }
  };
  const sources = [["random", "exhibit.walk_random"], ["stars", "exhibit.walk_stars"], ["history", "page.history"]].map(([name, code]) => [name, t(code)]);
  const source = select(t("exhibit.walk_source"), sources, view.source, (name) => {
    view.source = name;
    chosen = null;
    show();
  });
  const pace = slider({ name: t("page.seconds"), min: 0.5, max: 8, step: 0.5, digits: 1, zero: 0.5, value: view.seconds, input: (seconds) => (view.seconds = seconds) });
  const whole = el("button", { type: "button", click: () => byId("picture").requestFullscreen?.() }, t("page.live_full_screen"));
  panel.append(
    el("div", { class: "head" }, el("p", {}, t("exhibit.walk_intro", { count: formatNumber(STOPS) }))),
    el("div", { class: "row" }, source, other, start, whole), pace.row, few, list,
  );
  show();
  return { close: stop };
}
