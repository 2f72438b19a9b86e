// The gallery: a wall of pictures by seed, more of them on scrolling, and those that are starred.
import * as api from "./api.js";
import { attributeTitle } from "./directions.js";
import { t } from "./messages.js";
import { el, offNote, select, tile, toast } from "./parts.js";
import { describe, sides } from "./stage.js";
import { isStarred, starLabel, toggleStar } from "./stars.js";
import { canonical, commit, on, state, tidy } from "./state.js";
import { showTab } from "./tabs.js";

const STEP = 24; // pictures that are added at once
const BY_SCROLLING = 120; // from which on only the button adds more: what stands below can then be reached
const THUMB = 128; // pixels
const CACHED = 1200; // thumbnails
const PIXELS = 24 * 64 * 64; // of one request: the stage's own pictures come in between
const SIDES = [256, 512, 1024]; // of the pictures in a zip

// Outlives the panel.
const view = { name: "all", label: "", count: STEP, side: "512" };
const thumbnails = new Map(); // checkpoint and canonical text -> canvas, or the reason why it cannot be drawn
let panelChanged = null; // of the open panel: called when the stars have changed

const cacheKey = (recipe) => `${state.checkpoint ?? ""} ${canonical(recipe)}`;

// Whether a picture has the label: one of its attributes, or its class.
const hasLabel = (recipe, label) => !label || (recipe.label ?? "").split(",").some((part) => part.trim() === label);

const bySeed = (count) => Array.from({ length: count }, (_, seed) => tidy({ seed, label: view.label }));
const starred = () => state.stars.filter((recipe) => hasLabel(recipe, view.label)).toReversed();

// Draws the thumbnails of recipes into the cache. Where one of a sheet cannot be drawn, each is asked for by itself.
async function drawThumbnails(recipes) {
  try {
    const { bitmap, columns, width, height } = await api.sheet(recipes, THUMB);
    recipes.forEach((recipe, i) => thumbnails.set(cacheKey(recipe), tile(bitmap, i, columns, width, height)));
  } catch (error) {
    if (error.status !== 400) throw error;
    if (recipes.length === 1) thumbnails.set(cacheKey(recipes[0]), error.message);
    else for (const recipe of recipes) await drawThumbnails([recipe]);
  }
}

// A picture of the wall and its star.
function cell(recipe) {
  const text = describe(recipe);
  const face = el("button", { type: "button", class: "face", "aria-label": text, title: text, click: () => commit(recipe) }, el("span", { class: "blank" }));
  const star = el("button", { type: "button", class: "star", "aria-label": starLabel(text), click: () => toggleStar(recipe) });
  const node = el("li", {}, face, star);
  const update = () => {
    face.setAttribute("aria-current", String(canonical(recipe) === canonical(state.recipe)));
    star.setAttribute("aria-pressed", String(isStarred(recipe)));
  };
  let filled = false;
  const fill = () => {
    const drawn = filled ? null : thumbnails.get(cacheKey(recipe));
    if (typeof drawn === "string") face.title = drawn;
    else if (drawn) face.replaceChildren(drawn);
    filled ||= Boolean(drawn);
    return filled;
  };
  update();
  return { recipe, node, update, fill };
}

function downloads() {
  const film = el("button", { type: "button", click: async () => {
    (await import("./tab-walk.js")).through(starred());
    showTab("walk", true);
  } }, t("page.film_stars"));
  if (state.facts.exhibit) return { node: el("div", { class: "row" }, film), film }; // files of many pictures need a server
  const options = sides(SIDES).map(({ side, text }) => [String(side), text]);
  const zip = el("a", { class: "button", download: `${state.facts.name}-stars.zip` }, t("page.zip"));
  const point = () => (zip.href = api.zipAddress(view.side));
  const size = select(t("page.zip_size"), options, view.side, (value) => {
    view.side = value;
    point();
  });
  point();
  const sheet = el("a", { class: "button", href: api.contactSheetAddress(), download: `${state.facts.name}-stars.png` }, t("page.contact_sheet"));
  return { node: el("div", { class: "row" }, el("span", { class: "joined" }, zip, size), sheet, film), film };
}

export function draw(panel) {
  const cells = new Map(); // canonical text -> cell
  const list = el("ul", { class: "faces wall" });
  const none = offNote(t("page.stars_none"));
  const more = el("button", { type: "button", click: () => grow() }, t("page.more_pictures"));
  const end = el("p", { class: "row" }, more);
  const tools = downloads();
  const label = !state.facts.labels.length ? null : select(
    t("page.label"), [["", t("page.label_any")], ...state.facts.labels.map((name) => [name, attributeTitle(name)])], view.label,
    (value) => {
      Object.assign(view, { label: value, count: STEP });
      start();
    },
  );
  const choices = [["all", "page.all"], ["stars", "page.starred"]].map(([name, code]) => {
    const button = el("button", { type: "button", id: `view-${name}`, click: () => {
      Object.assign(view, { name, count: STEP });
      start();
    } });
    return [name, code, button];
  });
  let open = true;
  let filling = false;

  const update = () => {
    for (const [name, code, button] of choices) {
      button.textContent = t(code, { count: starred().length });
      button.setAttribute("aria-pressed", String(name === view.name));
    }
    const stars = view.name === "stars";
    none.hidden = !stars || cells.size > 0;
    tools.node.hidden = !stars || !state.stars.length;
    tools.film.disabled = starred().length < 2;
    end.hidden = stars && cells.size >= starred().length;
    for (const each of cells.values()) each.update();
  };
  // Adds the cells that are missing: at the end, or at the beginning where a star came while they were shown.
  const place = (recipes, method) => {
    const added = recipes.filter((recipe) => !cells.has(canonical(recipe))).map(cell);
    for (const each of added) cells.set(canonical(each.recipe), each);
    list[method](...added.map(({ node }) => node));
    update();
    fill();
  };
  const fill = async () => {
    if (filling) return;
    filling = true;
    const [, tall, wide] = state.facts.shape;
    const most = Math.max(1, Math.min(STEP, Math.floor(PIXELS / (tall * wide))));
    try {
      for (;;) {
        const missing = open ? [...cells.values()].filter((each) => !each.fill()).slice(0, most) : [];
        if (!missing.length) break;
        if (thumbnails.size > CACHED) thumbnails.clear();
        await drawThumbnails(missing.map(({ recipe }) => recipe));
      }
    } catch (error) {
      toast(error.message);
    }
    filling = false;
    if (open) { // the end may still be in view
      observer.unobserve(end);
      observer.observe(end);
    }
  };
  const wanted = () => (view.name === "all" ? bySeed(view.count) : starred().slice(0, view.count));
  const grow = () => {
    view.count += STEP;
    place(wanted(), "append");
  };
  const start = () => {
    cells.clear();
    list.replaceChildren();
    place(wanted(), "append");
  };
  const observer = new IntersectionObserver(([entry]) => {
    if (entry.isIntersecting && view.count < BY_SCROLLING && !filling) grow();
  }, { rootMargin: "300px" });
  panelChanged = () => {
    if (view.name === "stars") place(starred().slice(0, view.count), "prepend");
    else update();
  };
  panel.append(
    el("div", { class: "head" }, el("p", {}, t(state.facts.exhibit ? "exhibit.gallery_intro" : "page.gallery_intro"))),
    el("div", { class: "row views" }, el("span", { class: "joined" }, ...choices.map(([, , button]) => button)), label),
    tools.node, none, list, end,
  );
  start();
  const close = () => {
    [open, panelChanged] = [false, null];
    observer.disconnect();
  };
  return { settled: update, close };
}

on("stars", () => panelChanged?.());
