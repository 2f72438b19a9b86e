// A film through faces of the history.
import * as api from "./api.js";
import { el, say, select, tile, why } from "./parts.js";
import { commit, key, randomSeed, state } from "./state.js";
import { described } from "./stage.js";
import { amount, t } from "./words.js";

const SHOWN = 24; // faces to choose from
const MOST = 24; // of a film
const RATE = 25; // frames a second
const THUMB = 96;

const left = new Set(); // keys of faces that are not in the film
const film = { job: null, url: "", text: () => "", stops: 0, seconds: "1", side: "256", redraw: null };

async function make(recipes) {
  Object.assign(film, { text: () => t("starting"), stops: recipes.length });
  film.redraw?.();
  try {
    const frames = Math.round(Number(film.seconds) * RATE);
    const { job } = await api.startWalk({ recipes, frames, side: Number(film.side) });
    film.job = job;
    film.redraw?.();
    const last = await api.follow(job, ({ share }) => {
      film.text = () => `${Math.round(100 * share)} %`;
      film.redraw?.();
    });
    film.text = () => (last.film ? "" : t("stopped"));
    if (last.film) {
      if (film.url) URL.revokeObjectURL(film.url);
      film.url = URL.createObjectURL(await (await fetch(last.film)).blob());
    }
  } catch (error) {
    film.text = () => error.message;
  }
  film.job = null;
  film.redraw?.();
}

export function draw(panel) {
  const choice = el("ul", { class: "faces" });
  const go = el("button", { type: "button", class: "primary", disabled: true }, t("film"));
  const stop = el("button", { type: "button", click: () => film.job && api.cancel(film.job) }, t("stop"));
  const text = el("p", { role: "status", class: "soft" });
  const result = el("figure", { class: "film" });
  const tiles = new Map();
  let chosen = [];

  const mark = () => {
    chosen = [];
    for (const button of choice.querySelectorAll("button")) {
      const inside = !left.has(button.dataset.key) && chosen.length < MOST;
      if (inside) chosen.push(JSON.parse(button.dataset.key));
      button.setAttribute("aria-pressed", String(inside));
      button.dataset.stop = inside ? chosen.length : "";
    }
    go.disabled = chosen.length < 2 || Boolean(film.job);
  };
  const show = async () => {
    const faces = state.faces.slice(-SHOWN);
    const missing = faces.filter((face) => !tiles.has(key(face)));
    try {
      if (missing.length) {
        const { bitmap, columns, width, height } = await api.sheet(missing, THUMB);
        missing.forEach((face, i) => tiles.set(key(face), tile(bitmap, i, columns, width, height)));
      }
    } catch (error) {
      return say(error.message);
    }
    choice.replaceChildren(
      ...faces.map((face) => {
        const name = key(face);
        const button = el("button", { type: "button", class: "face stop", "data-key": name, "aria-label": described(face), title: described(face) });
        button.addEventListener("click", () => {
          if (!left.delete(name)) left.add(name);
          mark();
        });
        button.append(tiles.get(name));
        return el("li", {}, button);
      }),
    );
    few.hidden = faces.length >= 2;
    mark();
  };
  const few = why(t("walkFew"));
  film.redraw = () => {
    text.textContent = film.text();
    stop.hidden = !film.job;
    go.disabled = chosen.length < 2 || Boolean(film.job);
    if (!film.url || result.dataset.url === film.url) return;
    result.dataset.url = film.url;
    result.replaceChildren(
      el("img", { src: film.url, alt: t("filmOf", film.stops) }),
      el("figcaption", {}, el("a", { href: film.url, download: `${state.facts.name}-walk.webp`, class: "button" }, t("download"))),
    );
  };
  go.addEventListener("click", () => make(chosen));
  const seconds = ["0.5", "1", "2", "4"].map((value) => [value, amount(Number(value))]);
  const sides = [...new Set([String(Math.max(...state.facts.shape.slice(1))), "256", "512"])].map((side) => [side, `${side} px`]);
  panel.append(
    el("div", { class: "head" }, el("p", {}, t("walkIs")), el("button", { type: "button", class: "quiet", click: () => commit({ seed: randomSeed() }) }, t("addRandom"))),
    few, choice,
    el("div", { class: "row" },
      el("label", { class: "field" }, el("span", {}, t("seconds")), select(t("seconds"), seconds, film.seconds, (value) => (film.seconds = value))),
      el("label", { class: "field" }, el("span", {}, t("filmSize")), select(t("filmSize"), sides, film.side, (value) => (film.side = value))),
      go, stop),
    text, result,
  );
  show();
  if (film.url) film.redraw();
  else text.textContent = film.text();
  stop.hidden = !film.job;
  return { settled: show, close: () => (film.redraw = null) };
}
