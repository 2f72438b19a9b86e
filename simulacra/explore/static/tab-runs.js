// A run: its checkpoints on the same picture, its scores and losses, and its previews as they appear.
import * as api from "./api.js";
import { chart } from "./chart.js";
import { formatNumber, t } from "./messages.js";
import { el, offNote, slider, toast } from "./parts.js";
import { emit, state, tidy, translates } from "./state.js";
import { atCheckpoint, current as translation, currentKey } from "./translation.js";

const POLL = 5000; // ms between looks at the run's files
const THUMB = 128;

const urls = new Map(); // "checkpoint subject" -> the URL of its picture

// The start of the current recipe, without edits: directions belong to one checkpoint.
const startRecipe = () => {
  const { seed, label, truncation, layer_truncation, noise, w, z } = state.recipe;
  const start = seed != null ? { seed } : { z };
  return tidy(w && seed == null ? { w, label, noise } : { ...start, label, truncation, layer_truncation, noise });
};

const subject = () => (translates() ? currentKey() : JSON.stringify(startRecipe()));
const pictureAt = (checkpoint) => (translates() ? atCheckpoint(checkpoint) : api.picture({ recipe: startRecipe(), checkpoint, side: THUMB, format: "auto" }));
const imagesText = (code, nimg) => t(code, { nimg: formatNumber(Number(nimg)) });

function drawCheckpoints(run, list, isOpen) {
  const subjectKey = subject();
  list.replaceChildren();
  const buttons = run.checkpoints.map((name) => {
    const label = imagesText("page.checkpoint_of", name);
    const button = el("button", { type: "button", class: "face", "aria-label": label, title: label });
    button.setAttribute("aria-current", String((state.checkpoint ?? run.opened) === name));
    button.addEventListener("click", () => emit("checkpoint", name === run.opened ? null : name));
    const caption = [formatNumber(Number(name)), name === run.best && ` · ${t("page.best")}`];
    list.append(el("li", {}, button, el("span", { class: "soft small" }, ...caption.filter(Boolean))));
    return { name, button };
  });
  (async () => {
    for (const { name, button } of buttons.toReversed()) {
      const id = `${name} ${subjectKey}`;
      if (!isOpen() || (translates() && !translation.item)) return;
      if (!urls.has(id)) urls.set(id, URL.createObjectURL(await pictureAt(name)));
      const small = translates() && Math.max(...state.facts.shape) < 48;
      button.replaceChildren(el("img", { src: urls.get(id), alt: "", class: small ? "pixelated" : "" }));
    }
  })().catch((error) => toast(error.message));
}

function drawPreviews(run, box) {
  const { previews } = run;
  if (!previews.length) return box.replaceChildren();
  const following = box.at == null || box.at === box.last;
  box.last = previews.at(-1);
  if (following) box.at = box.last;
  if (box.count === previews.length) return undefined;
  box.count = previews.length;
  const image = el("img", { width: 640, height: 640 });
  const show = (i) => {
    box.at = previews[i];
    image.src = `api/run/previews/${box.at}`;
    image.alt = imagesText("page.preview_of", box.at);
    control?.range.setAttribute("aria-valuetext", imagesText("page.images_shown", box.at));
  };
  const last = previews.length - 1;
  const start = following ? last : previews.indexOf(box.at);
  const control = last > 0 && slider({ name: t("page.previews"), min: 0, max: last, step: 1, digits: 0, value: start, input: show });
  show(start);
  return box.replaceChildren(el("h3", {}, t("page.previews")), control ? control.row : "", image);
}

function drawCurves(run, box) {
  const parts = [];
  if (run.scores.length > 1) {
    const points = run.scores.map(({ nimg, value }) => [nimg, value]);
    const band = run.scores.map(({ nimg, low, high }) => [nimg, low, high]);
    parts.push(chart(t("page.score_curve", { metric: run.scores[0].name }), [{ points, band, mark: Number(run.best) }]));
  } else parts.push(offNote(t("page.scores_none", { run: `runs/${state.facts.name}` })));
  const losses = ["d_loss", "g_loss"].map((name) => ({
    name: name[0].toUpperCase(),
    points: run.journal.filter((line) => line[name] != null).map((line) => [line.nimg, line[name]]),
  }));
  if (losses.every(({ points }) => points.length > 1)) parts.push(chart(t("page.loss_curve"), losses));
  box.replaceChildren(...parts);
}

export function draw(panel) {
  if (!state.facts.run) {
    panel.append(offNote(t("page.runs_off")));
    return {};
  }
  let open = true;
  let before = ""; // what the checkpoints were drawn from
  let drawnSubject = subject();
  const list = el("ul", { class: "faces checkpoints" });
  const status = el("p", { role: "status", class: "soft" });
  const curves = el("div", { class: "curves" });
  const previews = el("div", { class: "previews" });
  const back = el("button", { type: "button", class: "quiet", click: () => emit("checkpoint", null) }, t("page.back_to_opened"));
  back.hidden = !state.checkpoint;
  const show = async (redraw) => {
    try {
      const run = await api.run();
      if (!open) return;
      status.textContent = state.checkpoint ? imagesText("page.exploring", state.checkpoint) : t(run.training ? "page.training" : "page.not_training");
      const now = JSON.stringify([run.checkpoints, run.best, run.scores.length]);
      if (redraw || now !== before) drawCheckpoints(run, list, () => open);
      before = now;
      drawCurves(run, curves);
      drawPreviews(run, previews);
    } catch (error) {
      toast(error.message);
    }
  };
  panel.append(el("div", { class: "head" }, el("p", {}, t(translates() ? "page.runs_intro_translate" : "page.runs_intro")), back), list, status, curves, previews);
  show(true);
  const timer = setInterval(() => !document.hidden && show(false), POLL);
  return {
    settled: () => show(true),
    translated: () => {
      if (translation.text() || subject() === drawnSubject) return; // only once it is done
      drawnSubject = subject();
      show(true);
    },
    close: () => {
      open = false;
      clearInterval(timer);
    },
  };
}
