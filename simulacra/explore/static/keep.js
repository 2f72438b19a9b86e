// Beside the sliders: what they do together, kept under a name; and directions learned from labels.
import * as api from "./api.js";
import { el, fresh, say, why } from "./parts.js";
import { commit, emit, pruned, state, tidy } from "./state.js";
import { worded } from "./named.js";
import { redrawTab } from "./tabs.js";
import { t } from "./words.js";

let open = false;
let kept = () => ""; // where the last one went
const lesson = { job: null, text: () => "", leftOut: {}, redraw: null };
const reach = new Map(); // checkpoint -> what labels there are to learn from

export const where = ({ path, shipped }) => t(shipped ? "keptAside" : "keptIn", path);

// --- a combination kept -----------------------------------------------------------------------------------------

async function save(name) {
  try {
    const told = await api.saveDirection(name, state.recipe.edits);
    state.directions = told.directions;
    kept = () => `${t("keptNow", name)} ${where(told)}`;
    commit(tidy({ ...state.recipe, edits: { [name]: { strength: 1 } } })); // the same picture, by one slider
    emit("faces");
    await redrawTab();
    document.querySelector("#panel .keep input")?.focus();
    say(t("keptNow", name));
  } catch (error) {
    say(error.message);
  }
}

export function keeping() {
  const id = fresh("keep");
  const field = el("input", { type: "text", maxlength: 60, autocomplete: "off", placeholder: t("keepHint"), "aria-label": t("keepName"), "aria-describedby": id });
  const button = el("button", {}, t("keep"));
  const text = el("p", { id, class: "soft small" });
  const submit = (event) => {
    event.preventDefault();
    if (field.value.trim()) save(field.value.trim());
    else field.focus();
  };
  const settled = () => {
    const count = Object.keys(state.recipe.edits ?? {}).length;
    field.disabled = button.disabled = !count;
    text.textContent = kept() || t(count ? "keepIs" : "keepNone", count);
    text.classList.toggle("why", !count && !kept());
  };
  const moved = () => {
    kept = () => "";
    settled();
  };
  settled();
  const form = el("form", { submit, input: moved }, el("div", { class: "row keeping" }, field, button), text);
  const node = el("details", { class: "keep", open, toggle: () => (open = node.open) }, el("summary", {}, t("keepTitle")), form);
  return { node, settled };
}

// --- a lesson from labels ---------------------------------------------------------------------------------------

const STAGES = { "Learning to read": "stageRead", Labelling: "stageLabel", Measuring: "stageMeasure" };

async function learn() {
  const tell = (text) => {
    lesson.text = text;
    lesson.redraw?.();
  };
  const at = state.checkpoint;
  Object.assign(lesson, { job: "", leftOut: {} });
  tell(() => t("starting"));
  try {
    lesson.job = (await api.startLabels()).job;
    const last = await api.follow(lesson.job, ({ share, stage }) => stage && tell(() => t("stage", t(STAGES[stage]), Math.round(100 * share))));
    await api.prepare();
    lesson.job = null;
    if (last.directions) {
      lesson.leftOut = last.left_out;
      if (state.checkpoint === at) { // else another model is looked at by now
        state.directions = last.directions;
        pruned(new Set(last.directions.map(({ name }) => name)));
      }
      const count = last.directions.filter(({ kind }) => kind.startsWith("learned")).length;
      tell(() => t("learned", count, where(last)));
      emit("directions");
    } else tell(() => t("stopped"));
  } catch (error) {
    lesson.job = null;
    tell(() => error.message);
  }
}

function leftOut() {
  const names = Object.keys(lesson.leftOut);
  if (!names.length) return "";
  const items = names.map((name) => el("li", {}, `${worded(name)}${t("colon")}${api.said(lesson.leftOut[name])}`));
  return el("details", {}, el("summary", {}, t("leftOut", names.length)), el("ul", { class: "small soft" }, ...items));
}

export function learning() {
  const id = fresh("learn");
  const go = el("button", { type: "button", disabled: true, "aria-describedby": id, click: learn }, t("learn"));
  const stop = el("button", { type: "button", click: () => lesson.job && api.cancel(lesson.job) }, t("stop"));
  const about = el("div", { id });
  const text = el("p", { role: "status", class: "soft small" });
  const rest = el("div", {});
  const at = state.checkpoint ?? "";
  lesson.redraw = () => {
    const told = reach.get(at);
    go.disabled = !told?.labels || lesson.job !== null;
    stop.hidden = !lesson.job;
    text.textContent = lesson.text();
    if (told?.labels) about.replaceChildren(el("p", { class: "soft small" }, t("learnIs", told.labels)));
    else if (told) about.replaceChildren(why(t("learnNot", api.said(told.why))));
    rest.replaceChildren(leftOut());
  };
  lesson.redraw();
  api.labels().then(async (told) => {
    reach.set(at, told);
    await api.prepare();
    lesson.redraw?.();
  }, (error) => about.replaceChildren(why(error.message)));
  const node = el("section", { class: "learn" }, el("h3", {}, t("learnTitle")), about, el("div", { class: "row" }, go, stop, text), rest);
  return { node, close: () => (lesson.redraw = null) };
}
