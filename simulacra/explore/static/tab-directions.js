// Sliders with names.
import * as api from "./api.js";
import { keeping, learning, where } from "./keep.js";
import { titled, told as inWords } from "./named.js";
import { el, say, select, slider, tile, why } from "./parts.js";
import { change, commit, emit, renamed, state, tidy, withEdit } from "./state.js";
import { t } from "./words.js";

const REACH = 3; // standard deviations, either way
const FRAMES = [-3, -2, -1, 0, 1, 2, 3];
const THUMB = 96;

const opened = new Set(); // rows that show more

const editOf = (name) => {
  const edit = state.recipe.edits?.[name];
  return edit == null ? { strength: 0 } : typeof edit === "number" ? { strength: edit } : edit;
};

const layersOf = (direction) => editOf(direction.name).layers ?? direction.layers;

function edited(direction, strength, layers = layersOf(direction)) {
  const all = !layers || (layers[0] === 0 && layers[1] === state.facts.styles);
  return withEdit(state.recipe, direction.name, { strength, ...(all && !direction.layers ? {} : { layers }) });
}

// What each strength of a direction makes of the picture.
async function strip(direction, box) {
  const mine = (box.turn = (box.turn ?? 0) + 1);
  try {
    const { bitmap, columns, width, height } = await api.sheet(FRAMES.map((strength) => edited(direction, strength)), THUMB);
    if (mine !== box.turn) return;
    box.replaceChildren(
      ...FRAMES.map((strength, i) => {
        const label = t("frame", titled(direction.name), strength > 0 ? `+${strength}` : strength);
        const button = el("button", { type: "button", class: "face", "aria-label": label, click: () => commit(edited(direction, strength)) });
        button.append(tile(bitmap, i, columns, width, height));
        return button;
      }),
    );
  } catch (error) {
    say(error.message);
  }
}

function naming(direction) {
  const field = el("input", { type: "text", value: titled(direction.name), maxlength: 60, "aria-label": t("name"), autocomplete: "off" });
  const submit = async (event) => {
    event.preventDefault();
    const name = field.value.trim();
    if (!name || name === titled(direction.name)) return;
    try {
      const told = await api.rename(direction.name, name);
      if (opened.delete(direction.name)) opened.add(name);
      renamed(direction.name, name);
      state.directions = told.directions;
      emit("faces");
      emit("settled", state.recipe);
      emit("directions");
      say(t("renamed", where(told)));
    } catch (error) {
      say(error.message);
    }
  };
  return el("form", { class: "row naming", submit }, field, el("button", {}, t("rename")));
}

function layers(direction, redrawn) {
  const { styles } = state.facts;
  if (!styles) return why(t("noLayers"));
  const [first, end] = layersOf(direction) ?? [0, styles];
  const numbers = [...Array(styles).keys()];
  const store = (from, to) => {
    const { strength } = editOf(direction.name);
    direction.layers = [from, Math.max(from + 1, to)];
    if (strength) commit(edited(direction, strength, direction.layers));
    redrawn();
  };
  const from = select(t("layersFrom"), numbers.map((n) => [n, n]), first, (value) => store(Number(value), end));
  const to = select(t("layersTo"), numbers.map((n) => [n + 1, n]), end, (value) => store(Math.min(first, value - 1), Number(value)));
  return el("p", { class: "row layers" }, el("span", {}, t("layersFrom")), from, el("span", {}, t("layersTo")), to);
}

function row(direction) {
  const made = slider({
    name: titled(direction.name), title: inWords(direction.about) || undefined, min: -REACH, max: REACH, step: 0.1, digits: 1, value: editOf(direction.name).strength,
    input: (value) => change(edited(direction, value)),
    change: () => commit(),
  });
  const box = el("div", { class: "filmstrip" });
  const more = el("div", { class: "more" });
  const chevron = el("button", { type: "button", class: "quiet chevron", "aria-label": t("more", titled(direction.name)), click: () => toggle() });
  const show = (open) => {
    chevron.setAttribute("aria-expanded", String(open));
    more.hidden = !open;
    if (!open) return;
    const told = [inWords(direction.about), direction.accuracy != null && t("accuracy", Math.round(100 * direction.accuracy))].filter(Boolean).join(" · ");
    more.replaceChildren(box, told && el("p", { class: "soft small" }, told), layers(direction, () => show(true)), naming(direction));
    strip(direction, box);
  };
  const toggle = () => {
    if (!opened.delete(direction.name)) opened.add(direction.name);
    show(opened.has(direction.name));
  };
  made.row.append(chevron);
  show(opened.has(direction.name));
  const node = el("li", {}, made.row, more);
  const settled = () => {
    made.set(editOf(direction.name).strength);
    if (opened.has(direction.name)) strip(direction, box);
  };
  return { node, settled };
}

let finding = null; // says how far the search for directions is

async function find() {
  const tell = (text) => {
    finding = text;
    emit("directions");
  };
  try {
    tell(() => t("starting"));
    const { job } = await api.startDirections();
    const last = await api.follow(job, ({ share }) => tell(() => t("discovering", Math.round(100 * share))));
    state.directions = last.directions ?? [];
  } catch (error) {
    say(error.message);
  }
  tell(null);
}

// Where there are none yet.
function none() {
  const go = el("button", { type: "button", class: "primary", click: find, disabled: Boolean(finding) }, t("discover"));
  return [el("p", { class: "soft" }, t("noDirections")), el("p", { class: "row" }, go, el("span", { role: "status", class: "soft" }, finding?.()))];
}

export function draw(panel) {
  if (!state.directions.length) {
    if (!state.facts?.looked) {
      panel.append(el("p", { class: "soft" }, t("looking")));
      return {};
    }
    const lesson = learning();
    panel.append(...none(), lesson.node);
    return { close: lesson.close };
  }
  const rows = state.directions.map(row);
  const [keep, lesson] = [keeping(), learning()];
  const reset = el("button", { type: "button", class: "quiet", click: () => commit(tidy({ ...state.recipe, edits: {} })) }, t("reset"));
  panel.append(
    el("div", { class: "head" }, el("p", {}, t("directionsIs")), reset),
    keep.node,
    el("ul", { class: "sliders" }, ...rows.map(({ node }) => node)),
    lesson.node,
  );
  const settled = () => [...rows, keep].forEach((each) => each.settled());
  return { settled, close: lesson.close };
}
