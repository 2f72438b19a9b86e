// A run: its checkpoints on the same seed, its scores, and its previews as they come.
import * as api from "./api.js";
import { chart } from "./chart.js";
import { el, say, slider, why } from "./parts.js";
import { emit, state, tidy, translates } from "./state.js";
import { atCheckpoint, now as translation, shownKey } from "./translation.js";
import { amount, t } from "./words.js";

const POLL = 5000; // ms between looks at the run's files
const THUMB = 128;

const known = new Map(); // "checkpoint recipe" -> the URL of its picture

const sameSeed = () => {
  const { seed, label, truncation, w, z } = state.recipe;
  return tidy(seed != null ? { seed, label, truncation } : w ? { w, label } : { z, label, truncation });
};

const subject = () => (translates() ? shownKey() : JSON.stringify(sameSeed()));
const face = (checkpoint) => (translates() ? atCheckpoint(checkpoint) : api.picture({ recipe: sameSeed(), checkpoint, side: THUMB, format: "auto" }));

function checkpoints(told, list, alive) {
  const same = subject();
  list.replaceChildren();
  const faces = told.checkpoints.map((name) => {
    const label = t("checkpointOf", amount(Number(name)));
    const button = el("button", { type: "button", class: "face", "aria-label": label, title: label });
    button.setAttribute("aria-current", String((state.checkpoint ?? told.opened) === name));
    button.addEventListener("click", () => emit("checkpoint", name === told.opened ? null : name));
    const caption = [amount(Number(name)), name === told.best && ` · ${t("best")}`];
    list.append(el("li", {}, button, el("span", { class: "soft small" }, ...caption.filter(Boolean))));
    return { name, button };
  });
  (async () => {
    for (const { name, button } of faces.toReversed()) {
      const id = `${name} ${same}`;
      if (!alive() || (translates() && !translation.shown)) return;
      if (!known.has(id)) known.set(id, URL.createObjectURL(await face(name)));
      const small = translates() && Math.max(...state.facts.shape) < 48;
      button.replaceChildren(el("img", { src: known.get(id), alt: "", class: small ? "pixelated" : "" }));
    }
  })().catch((error) => say(error.message));
}

function previews(told, box) {
  const { previews: all } = told;
  if (!all.length) return box.replaceChildren();
  const following = box.at == null || box.at === box.last;
  box.last = all.at(-1);
  if (following) box.at = box.last;
  if (box.count === all.length) return undefined;
  box.count = all.length;
  const image = el("img", { width: 640, height: 640 });
  const show = (i) => {
    box.at = all[i];
    image.src = `/api/run/previews/${all[i]}`;
    image.alt = t("previewAt", amount(all[i]));
    made?.range.setAttribute("aria-valuetext", t("images", amount(all[i])));
  };
  const last = all.length - 1;
  const start = following ? last : all.indexOf(box.at);
  const made = last > 0 && slider({ name: t("previews"), min: 0, max: last, step: 1, digits: 0, value: start, input: show });
  show(start);
  return box.replaceChildren(el("h3", {}, t("previews")), made ? made.row : "", image);
}

function curves(told, box) {
  const parts = [];
  if (told.scores.length > 1) {
    const points = told.scores.map(({ nimg, value }) => [nimg, value]);
    const band = told.scores.map(({ nimg, low, high }) => [nimg, low, high]);
    parts.push(chart(t("scoreCurve", told.scores[0].name), [{ points, band, mark: Number(told.best) }]));
  } else parts.push(why(t("noScores", `runs/${state.facts.name}`)));
  const losses = ["d_loss", "g_loss"].map((name) => ({
    name: name[0].toUpperCase(),
    points: told.journal.filter((line) => line[name] != null).map((line) => [line.nimg, line[name]]),
  }));
  if (losses.every(({ points }) => points.length > 1)) parts.push(chart(t("lossCurve"), losses));
  box.replaceChildren(...parts);
}

export function draw(panel) {
  if (!state.facts.run) {
    panel.append(why(t("noRun")));
    return {};
  }
  let open = true;
  let before = "";
  let drawn = subject();
  const list = el("ul", { class: "faces checkpoints" });
  const status = el("p", { role: "status", class: "soft" });
  const curve = el("div", { class: "curves" });
  const films = el("div", { class: "previews" });
  const back = el("button", { type: "button", class: "quiet", click: () => emit("checkpoint", null) }, t("backToBest"));
  back.hidden = !state.checkpoint;
  const show = async (anew) => {
    try {
      const told = await api.run();
      if (!open) return;
      status.textContent = state.checkpoint ? t("exploring", amount(Number(state.checkpoint))) : t(told.training ? "training" : "resting");
      const now = JSON.stringify([told.checkpoints, told.best, told.scores.length]);
      if (anew || now !== before) checkpoints(told, list, () => open);
      before = now;
      curves(told, curve);
      previews(told, films);
    } catch (error) {
      say(error.message);
    }
  };
  panel.append(el("div", { class: "head" }, el("p", {}, t(translates() ? "runsSame" : "runsIs")), back), list, status, curve, films);
  show(true);
  const timer = setInterval(() => !document.hidden && show(false), POLL);
  return {
    settled: () => show(true),
    translated: () => {
      if (translation.text() || subject() === drawn) return; // not before it is done
      drawn = subject();
      show(true);
    },
    close: () => {
      open = false;
      clearInterval(timer);
    },
  };
}
