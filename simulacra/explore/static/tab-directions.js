// Directions: a slider for each.
import * as api from "./api.js";
import { combination, learningSection, placeText } from "./combine.js";
import { attributeTitle, directionTitle, effectText } from "./directions.js";
import { drawEnds, withEnds } from "./ends.js";
import { progressMeter, t } from "./messages.js";
import { el, offNote, select, slider, tile, toast } from "./parts.js";
import { change, commit, emit, renameDirection, state, tidy, withEdit } from "./state.js";

const REACH = 3; // standard deviations, either way
const STRENGTHS = [-3, -2, -1, 0, 1, 2, 3];
const THUMB = 96;

const expanded = new Set(); // names of directions whose details are shown
const unfolded = new Set(); // prefixes of the groups that are unfolded

const editOf = (name) => {
  const edit = state.recipe.edits?.[name];
  return edit == null ? { strength: 0 } : typeof edit === "number" ? { strength: edit } : edit;
};

const layersOf = (direction) => editOf(direction.name).layers ?? direction.layers;

// The current recipe with a direction at a strength.
function edited(direction, strength, layers = layersOf(direction)) {
  const all = !layers || (layers[0] === 0 && layers[1] === state.facts.num_ws);
  return withEdit(state.recipe, direction.name, { strength, ...(all && !direction.layers ? {} : { layers }) });
}

// Shows the picture at each strength of a direction.
async function drawFilmstrip(direction, box) {
  const mine = (box.version = (box.version ?? 0) + 1);
  try {
    const { bitmap, columns, width, height } = await api.sheet(STRENGTHS.map((strength) => edited(direction, strength)), THUMB);
    if (mine !== box.version) return;
    box.replaceChildren(
      ...STRENGTHS.map((strength, i) => {
        const label = t("page.strength", { name: directionTitle(direction.name), strength: strength > 0 ? `+${strength}` : strength });
        const button = el("button", { type: "button", class: "face", "aria-label": label, click: () => commit(edited(direction, strength)) });
        button.append(tile(bitmap, i, columns, width, height));
        return button;
      }),
    );
  } catch (error) {
    toast(error.message);
  }
}

function renameForm(direction) {
  const field = el("input", { type: "text", value: direction.named ? directionTitle(direction.name) : "", placeholder: t("page.name_hint"), maxlength: 60, "aria-label": t("page.name"), autocomplete: "off" });
  const submit = async (event) => {
    event.preventDefault();
    const name = field.value.trim();
    if (!name || name === directionTitle(direction.name)) return;
    try {
      const answer = await api.rename(direction.name, name);
      if (expanded.delete(direction.name)) expanded.add(name);
      renameDirection(direction.name, name);
      state.directions = answer.directions;
      emit("strip");
      emit("settled", state.recipe);
      emit("directions");
      toast(t("page.renamed", { place: placeText(answer) }));
    } catch (error) {
      toast(error.message);
    }
  };
  return el("form", { class: "row naming", submit }, field, el("button", {}, t("page.rename")));
}

function layerSelects(direction, redraw) {
  const { num_ws: count } = state.facts;
  if (!count) return offNote(t("page.layers_off"));
  const [first, end] = layersOf(direction) ?? [0, count];
  const layers = [...Array(count).keys()];
  const store = (from, to) => {
    const { strength } = editOf(direction.name);
    direction.layers = [from, Math.max(from + 1, to)];
    if (strength) commit(edited(direction, strength, direction.layers));
    redraw();
  };
  const from = select(t("page.layers_from"), layers.map((n) => [n, n]), first, (value) => store(Number(value), end));
  const to = select(t("page.layers_to"), layers.map((n) => [n + 1, n]), end, (value) => store(Math.min(first, value - 1), Number(value)));
  return el("p", { class: "row layers" }, el("span", {}, t("page.layers_from")), from, el("span", {}, t("page.layers_to")), to);
}

// The slider of a direction. number: of one that nobody has named yet; its ends then show what it does.
function row(direction, number) {
  const title = direction.named ? directionTitle(direction.name) : t("page.direction_number", { number });
  const effect = effectText(direction.about);
  const control = slider({
    name: title, title: effect || undefined, min: -REACH, max: REACH, step: 0.1, digits: 1, value: editOf(direction.name).strength,
    input: (value) => change(edited(direction, value)),
    change: () => commit(),
  });
  const box = el("div", { class: "filmstrip" });
  const details = el("div", { class: "more" });
  const chevron = el("button", { type: "button", class: "quiet chevron", "aria-label": t("page.more_on", { name: title }), click: () => toggle() });
  const show = (open) => {
    chevron.setAttribute("aria-expanded", String(open));
    details.hidden = !open;
    if (!open) return;
    const accuracy = direction.accuracy != null && t("page.accuracy", { percent: Math.round(100 * direction.accuracy) });
    const text = [effect, accuracy].filter(Boolean).join(" · ");
    details.replaceChildren(...[box, text && el("p", { class: "soft small" }, text), layerSelects(direction, () => show(true)), !state.facts.exhibit && renameForm(direction)].filter(Boolean));
    drawFilmstrip(direction, box);
  };
  const toggle = () => {
    if (!expanded.delete(direction.name)) expanded.add(direction.name);
    show(expanded.has(direction.name));
  };
  const naming = () => {
    expanded.add(direction.name);
    show(true);
    details.querySelector(".naming input").focus();
  };
  if (!direction.named && !state.facts.exhibit) control.row.append(el("button", { type: "button", class: "quiet small name", click: naming }, t("page.name_it")));
  control.row.append(chevron);
  show(expanded.has(direction.name));
  const settled = () => {
    control.set(editOf(direction.name).strength);
    if (expanded.has(direction.name)) drawFilmstrip(direction, box);
  };
  const ends = direction.named ? null : withEnds(control.row, title, REACH, (strength) => edited(direction, strength));
  return { node: el("li", {}, ends?.node ?? control.row, details), settled, ends };
}

const prefixOf = ({ name, own }) => (!own && name.includes(": ") ? name.split(": ")[0] : null);

// The rows of a list, those of one prefix ("style: afro", "style: fringe") folded into a group.
function folded(rows) {
  const groups = new Map();
  for (const each of rows) groups.set(prefixOf(each.direction), [...(groups.get(prefixOf(each.direction)) ?? []), each]);
  const placed = new Set();
  return rows.map(({ direction, node }) => {
    const prefix = prefixOf(direction);
    const members = groups.get(prefix);
    if (!prefix || members.length < 2) return node;
    if (placed.has(prefix)) return null;
    placed.add(prefix);
    const open = unfolded.has(prefix) || members.some((member) => editOf(member.direction.name).strength);
    const title = t("page.group", { name: attributeTitle(prefix), count: members.length });
    const fold = el("details", { open, toggle: () => unfolded[fold.open ? "add" : "delete"](prefix) },
      el("summary", {}, title), el("ul", { class: "sliders" }, ...members.map((member) => member.node)));
    return el("li", { class: "group" }, fold);
  }).filter(Boolean);
}

let findingText = null; // how far the search for directions is

async function find() {
  const show = (text) => {
    findingText = text;
    emit("directions");
  };
  try {
    show(() => t("page.starting"));
    const { job } = await api.startDirections();
    const meter = progressMeter();
    const result = await api.follow(job, ({ share }) => {
      const progress = meter(share);
      show(() => t("page.directions_finding", { progress }));
    });
    state.directions = result.directions ?? [];
  } catch (error) {
    toast(error.message);
  }
  show(null);
}

function findSection() {
  const button = el("button", { type: "button", class: "primary", click: find, disabled: Boolean(findingText) }, t("page.directions_find"));
  return [el("p", { class: "soft" }, t("page.directions_none")), el("p", { class: "row" }, button, el("span", { role: "status", class: "soft" }, findingText?.()))];
}

export function draw(panel) {
  if (!state.directions.length) {
    if (!state.directionsLoaded) {
      panel.append(el("p", { class: "soft" }, t("page.directions_loading")));
      return {};
    }
    const learning = learningSection();
    panel.append(...findSection(), learning.node);
    return { close: learning.close };
  }
  let unnamed = 0;
  const rows = state.directions.map((direction) => ({ direction, ...row(direction, direction.named || ++unnamed) }));
  const ends = drawEnds(rows.map((each) => each.ends).filter(Boolean));
  const [combine, learning] = state.facts.exhibit ? [] : [combination(), learningSection()]; // an exhibit saves nothing
  const reset = el("button", { type: "button", class: "quiet", click: () => commit(tidy({ ...state.recipe, edits: {} })) }, t("page.reset_all"));
  panel.append(
    el("div", { class: "head" }, el("p", {}, t(unnamed ? "page.directions_unnamed" : "page.directions_intro")), reset),
    ...[combine?.node, el("ul", { class: "sliders" }, ...folded(rows)), learning?.node].filter(Boolean),
  );
  const settled = () => [...rows, combine, ends].forEach((part) => part?.settled());
  const close = () => {
    ends.close();
    learning?.close();
  };
  return { settled, close };
}
