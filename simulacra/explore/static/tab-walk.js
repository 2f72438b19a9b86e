// A film through pictures of the history.
import * as api from "./api.js";
import { formatNumber, progressMeter, t } from "./messages.js";
import { el, offNote, select, tile, toast } from "./parts.js";
import { describe, sides } from "./stage.js";
import { commit, key, randomSeed, state } from "./state.js";

const CHOICES = 24; // pictures of the history to choose from
const MAX_STOPS = 24;
const RATE = 25; // frames a second
const THUMB = 96;

let stars = null; // the starred pictures that the film goes through, instead of the history
const excluded = new Set(); // keys of pictures that are not in the film
const LARGEST = 512; // px of a film, as the server has it
const film = { job: null, url: "", text: () => "", stops: 0, seconds: "1", side: "256", redraw: null };

// Go through these pictures, the first ones of them.
export function through(recipes) {
  stars = recipes.slice(0, MAX_STOPS);
  excluded.clear();
}

async function make(recipes) {
  Object.assign(film, { text: () => t("page.starting"), stops: recipes.length });
  film.redraw?.();
  try {
    const frames = Math.round(Number(film.seconds) * RATE);
    const { job } = await api.startWalk({ recipes, frames, side: Number(film.side) });
    film.job = job;
    film.redraw?.();
    const meter = progressMeter();
    const result = await api.follow(job, ({ share }) => {
      const progress = meter(share);
      film.text = () => progress;
      film.redraw?.();
    });
    film.text = () => (result.film ? "" : t("page.stopped"));
    if (result.film) {
      if (film.url) URL.revokeObjectURL(film.url);
      film.url = URL.createObjectURL(await api.film(job));
    }
  } catch (error) {
    film.text = () => error.message;
  }
  film.job = null;
  film.redraw?.();
}

export function draw(panel) {
  const list = el("ul", { class: "faces" });
  const start = el("button", { type: "button", class: "primary", disabled: true }, t("page.film_make"));
  const stop = el("button", { type: "button", click: () => film.job && api.cancel(film.job) }, t("page.stop"));
  const text = el("p", { role: "status", class: "soft" });
  const result = el("figure", { class: "film" });
  const few = offNote(t("page.walk_few"));
  const tiles = new Map(); // key -> canvas
  let stops = [];

  const markStops = () => {
    stops = [];
    for (const button of list.querySelectorAll("button")) {
      const included = !excluded.has(button.dataset.key) && stops.length < MAX_STOPS;
      if (included) stops.push(JSON.parse(button.dataset.key));
      button.setAttribute("aria-pressed", String(included));
      button.dataset.stop = included ? stops.length : "";
    }
    start.disabled = stops.length < 2 || Boolean(film.job);
  };
  const show = async () => {
    const recipes = stars ?? state.strip.slice(-CHOICES);
    const missing = recipes.filter((recipe) => !tiles.has(key(recipe)));
    try {
      if (missing.length) {
        const { bitmap, columns, width, height } = await api.sheet(missing, THUMB);
        missing.forEach((recipe, i) => tiles.set(key(recipe), tile(bitmap, i, columns, width, height)));
      }
    } catch (error) {
      return toast(error.message);
    }
    list.replaceChildren(
      ...recipes.map((recipe) => {
        const name = key(recipe);
        const label = describe(recipe);
        const button = el("button", { type: "button", class: "face stop", "data-key": name, "aria-label": label, title: label });
        button.addEventListener("click", () => {
          if (!excluded.delete(name)) excluded.add(name);
          markStops();
        });
        button.append(tiles.get(name));
        return el("li", {}, button);
      }),
    );
    few.hidden = recipes.length >= 2;
    return markStops();
  };
  film.redraw = () => {
    text.textContent = film.text();
    stop.hidden = !film.job;
    start.disabled = stops.length < 2 || Boolean(film.job);
    if (!film.url || result.dataset.url === film.url) return;
    result.dataset.url = film.url;
    result.replaceChildren(
      el("img", { src: film.url, alt: t("page.film_of", { count: film.stops }) }),
      el("figcaption", {}, el("a", { href: film.url, download: `${state.facts.name}-walk.webp`, class: "button" }, t("page.download"))),
    );
  };
  start.addEventListener("click", () => make(stops));
  const seconds = ["0.5", "1", "2", "4"].map((value) => [value, formatNumber(Number(value))]);
  const sizes = sides([256, 512]).filter(({ side }) => side <= LARGEST).map(({ side, text }) => [String(side), text]);
  const field = (label, options, name) => el("label", { class: "field" }, el("span", {}, label), select(label, options, film[name], (value) => (film[name] = value)));
  const intro = el("p", {});
  const add = el("button", { type: "button", class: "quiet", click: () => commit({ seed: randomSeed() }) }, t("page.add_random"));
  const back = el("button", { type: "button", class: "quiet", click: () => {
    stars = null;
    say();
    show();
  } }, t("page.walk_history"));
  const say = () => {
    intro.textContent = stars ? t("page.walk_stars", { count: stars.length }) : t("page.walk_intro");
    [add.hidden, back.hidden] = [Boolean(stars), !stars];
  };
  say();
  panel.append(
    el("div", { class: "head" }, intro, add, back),
    few, list,
    el("div", { class: "row" }, field(t("page.seconds"), seconds, "seconds"), field(t("page.film_size"), sizes, "side"), start, stop),
    text, result,
  );
  show();
  film.redraw();
  return { settled: show, close: () => (film.redraw = null) };
}
