// Below the sliders: saving their combination as a direction, and learning directions from labels.
import * as api from "./api.js";
import { attributeTitle } from "./directions.js";
import { language, progressMeter, t } from "./messages.js";
import { el, offNote, toast, uniqueId } from "./parts.js";
import { commit, dropOtherEdits, emit, state, tidy } from "./state.js";
import { redrawTab } from "./tabs.js";

let open = false;
let savedText = () => ""; // where the last combination was saved

// Where directions are saved, from the server's answer.
export const placeText = ({ path, bundled }) => t(bundled ? "page.saved_user" : "page.saved_beside", { path });

// --- a combination of sliders -----------------------------------------------------------------------------------

async function save(name) {
  try {
    const answer = await api.saveDirection(name, state.recipe.edits);
    state.directions = answer.directions;
    savedText = () => `${t("page.combine_saved", { name })} ${placeText(answer)}`;
    commit(tidy({ ...state.recipe, edits: { [name]: { strength: 1 } } })); // the same picture, by one slider
    emit("strip");
    await redrawTab();
    document.querySelector("#panel .keep input")?.focus();
    toast(t("page.combine_saved", { name }));
  } catch (error) {
    toast(error.message);
  }
}

export function combination() {
  const id = uniqueId("combine");
  const field = el("input", { type: "text", maxlength: 60, autocomplete: "off", placeholder: t("page.combine_hint"), "aria-label": t("page.combine_name"), "aria-describedby": id });
  const button = el("button", {}, t("page.combine_save"));
  const text = el("p", { id, class: "soft small" });
  const submit = (event) => {
    event.preventDefault();
    if (field.value.trim()) save(field.value.trim());
    else field.focus();
  };
  const settled = () => {
    const count = Object.keys(state.recipe.edits ?? {}).length;
    field.disabled = button.disabled = !count;
    text.textContent = savedText() || t(count ? "page.combine_intro" : "page.combine_none", { count });
    text.classList.toggle("why", !count && !savedText());
  };
  const input = () => {
    savedText = () => "";
    settled();
  };
  settled();
  const form = el("form", { submit, input }, el("div", { class: "row keeping" }, field, button), text);
  const node = el("details", { class: "keep", open, toggle: () => (open = node.open) }, el("summary", {}, t("page.combine_title")), form);
  return { node, settled };
}

// --- learning from labels ---------------------------------------------------------------------------------------

// Outlives the panel. job: "" while it starts, null when nothing runs; leftOut: reasons by label, in `language`.
const learning = { job: null, ended: null, text: () => "", leftOut: {}, language: "", redraw: null };
const labelCounts = new Map(); // checkpoint -> the server's answer

function showLearning(text) {
  learning.text = text;
  learning.redraw?.();
}

async function learn() {
  const { checkpoint } = state;
  const meter = progressMeter();
  Object.assign(learning, { job: "", ended: null, leftOut: {}, language: language() });
  showLearning(() => t("page.starting"));
  try {
    learning.job = (await api.startLabels()).job;
    const result = await api.follow(learning.job, ({ share, stage }) => {
      const progress = meter(share);
      if (stage) showLearning(() => t("page.learn_stage", { stage, progress }));
    });
    Object.assign(learning, { ended: learning.job, job: null });
    if (result.directions) {
      learning.leftOut = result.left_out;
      if (state.checkpoint === checkpoint) { // else another model is shown by now
        state.directions = result.directions;
        dropOtherEdits(new Set(result.directions.map(({ name }) => name)));
      }
      const count = result.directions.filter(({ kind }) => kind.startsWith("learned")).length;
      showLearning(() => t("page.learned", { count, place: placeText(result) }));
      emit("directions");
    } else showLearning(() => t("page.stopped"));
  } catch (error) {
    learning.job = null;
    showLearning(() => error.message);
  }
}

// Fetches the reasons again, after the page's language has changed.
async function translateReasons() {
  learning.language = language();
  if (!learning.ended || !Object.keys(learning.leftOut).length) return;
  try {
    learning.leftOut = (await api.follow(learning.ended, () => {})).left_out;
    learning.redraw?.();
  } catch {
    // the server has forgotten the job: the reasons stay as they are
  }
}

function leftOutList() {
  const names = Object.keys(learning.leftOut);
  if (!names.length) return "";
  const items = names.map((name) => el("li", {}, `${attributeTitle(name)}${t("page.colon")}${learning.leftOut[name]}`));
  return el("details", {}, el("summary", {}, t("page.left_out", { count: names.length })), el("ul", { class: "small soft" }, ...items));
}

export function learningSection() {
  const id = uniqueId("learn");
  const start = el("button", { type: "button", disabled: true, "aria-describedby": id, click: learn }, t("page.learn"));
  const stop = el("button", { type: "button", click: () => learning.job && api.cancel(learning.job) }, t("page.stop"));
  const intro = el("div", { id });
  const text = el("p", { role: "status", class: "soft small" });
  const rest = el("div", {});
  const checkpoint = state.checkpoint ?? "";
  learning.redraw = () => {
    const answer = labelCounts.get(checkpoint);
    start.disabled = !answer?.labels || learning.job !== null;
    stop.hidden = !learning.job;
    text.textContent = learning.text();
    if (answer?.labels) intro.replaceChildren(el("p", { class: "soft small" }, t("page.learn_intro", { count: answer.labels })));
    else if (answer) intro.replaceChildren(offNote(t("page.learn_off", { reason: answer.why })));
    rest.replaceChildren(leftOutList());
  };
  learning.redraw();
  if (learning.language !== language()) translateReasons();
  api.labels().then((answer) => {
    labelCounts.set(checkpoint, answer);
    learning.redraw?.();
  }, (error) => intro.replaceChildren(offNote(error.message)));
  const node = el("section", { class: "learn" }, el("h3", {}, t("page.learn_title")), intro, el("div", { class: "row" }, start, stop, text), rest);
  return { node, close: () => (learning.redraw = null) };
}
