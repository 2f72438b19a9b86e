// Latent inversion of a photo: the model looks for the most similar picture that it can make.
import * as api from "./api.js";
import { chart } from "./chart.js";
import { duration, progressMeter, t } from "./messages.js";
import { el, latest, select, toast } from "./parts.js";
import { commit, state } from "./state.js";

const EFFORTS = [["150", "page.effort_quick"], ["400", "page.effort_good"], ["1200", "page.effort_patient"]]; // steps
const MAX_BYTES = 32 << 20; // the server's limit
const CLEAR_DB = 20; // PSNR from which on a likeness is clear
const MATCH_DB = 28; // PSNR from which on it is almost the same picture

// Outlives the panel: the file, the course of the search, and its job.
const photo = { file: null, url: "", effort: "400", job: null, next: null, points: [], text: () => "", resultUrl: "", redraw: null };

const showResult = latest(async (url) => {
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    photo.resultUrl = url;
    photo.redraw?.();
  } catch {
    // the job ended before its picture was fetched: the final one is drawn anyway
  }
});

const likeness = (psnr) => t(psnr < CLEAR_DB ? "page.likeness_rough" : psnr < MATCH_DB ? "page.likeness_clear" : "page.likeness_match");

function onNews(news) {
  if (news.step == null) return; // it has only started
  if (news.step) photo.points.push([news.step, news.psnr]);
  const progress = photo.meter(news.share);
  photo.text = () => t(news.step ? "page.search_step" : "page.search_start", { likeness: likeness(news.psnr), progress });
  showResult(`api/jobs/${photo.job}/picture?step=${news.step}&psnr=${news.psnr}`);
  photo.redraw?.();
}

export async function search(file = photo.file) {
  if (!file) return;
  if (file.size > MAX_BYTES) {
    toast(t("page.file_too_large", { limit: MAX_BYTES >> 20 }));
    return;
  }
  if (photo.job) {
    photo.next = file; // starts once the current search has stopped
    await api.cancel(photo.job);
    return;
  }
  if (file !== photo.file) {
    if (photo.url) URL.revokeObjectURL(photo.url);
    Object.assign(photo, { file, url: URL.createObjectURL(file) });
  }
  Object.assign(photo, { points: [], text: () => t("page.starting"), resultUrl: "", meter: progressMeter() });
  try {
    const { job } = await api.startPhoto(file, photo.effort);
    photo.job = job;
    photo.redraw?.();
    const { recipe, psnr } = await api.follow(job, onNews);
    photo.job = null;
    photo.text = () => t("page.search_done", { psnr: psnr.toFixed(1), likeness: likeness(psnr) });
    showResult(URL.createObjectURL(await api.picture({ recipe, format: "auto" })));
    commit(recipe);
  } catch (error) {
    Object.assign(photo, { job: null, text: () => error.message });
  }
  photo.redraw?.();
  const { next } = photo;
  photo.next = null;
  if (next) search(next);
}

const paces = new Map(); // checkpoint -> {start, step}, in seconds

// The choices of patience, each with the time that it takes here, once that is known.
function fillEfforts(effort) {
  const pace = paces.get(state.checkpoint);
  for (const [index, [count, code]] of EFFORTS.entries()) {
    const time = pace ? `${t("page.comma")}${duration(pace.start + count * pace.step)}` : "";
    effort.options[index].textContent = `${t(code)}${time}`;
  }
}

async function measurePace(effort) {
  fillEfforts(effort);
  const { checkpoint } = state;
  if (paces.has(checkpoint) || photo.job) return;
  try {
    paces.set(checkpoint, await api.pace());
    fillEfforts(effort);
  } catch (error) {
    toast(error.message);
  }
}

export function draw(panel) {
  const input = el("input", { type: "file", id: "photofile", accept: "image/*", class: "unseen", change: () => search(input.files[0]) });
  const effort = select(t("page.effort"), EFFORTS.map(([count, code]) => [count, t(code)]), photo.effort, (value) => (photo.effort = value));
  const target = el("figure", {});
  const result = el("figure", {});
  const curve = el("div", {});
  const text = el("p", { role: "status", class: "soft" });
  const again = el("button", { type: "button", click: () => search() }, t("page.search_again"));
  const stop = el("button", { type: "button", click: () => photo.job && api.cancel(photo.job) }, t("page.stop"));
  const pair = el("div", { class: "pair" }, target, result);
  photo.redraw = () => {
    pair.hidden = !photo.file;
    const [yours, models] = [t("page.your_picture"), t("page.models_picture")];
    target.replaceChildren(photo.url ? el("img", { src: photo.url, alt: yours }) : "", el("figcaption", {}, yours));
    result.replaceChildren(photo.resultUrl ? el("img", { src: photo.resultUrl, alt: models }) : el("span", { class: "blank" }), el("figcaption", {}, models));
    result.querySelector("img")?.classList.toggle("pixelated", state.facts.shape[1] < 48);
    curve.replaceChildren(photo.points.length > 1 ? chart(t("page.psnr_curve"), [{ points: photo.points }]) : "");
    text.textContent = photo.text();
    again.hidden = !photo.file || Boolean(photo.job);
    stop.hidden = !photo.job;
  };
  panel.append(
    el("div", { class: "head" }, el("p", {}, t("page.photo_intro"))),
    el("div", { class: "row dropline" }, input, el("label", { for: "photofile", class: "button primary" }, t("page.choose_picture")), el("span", { class: "soft" }, t("page.or_drop"))),
    el("div", { class: "row" }, el("label", { class: "field" }, el("span", {}, t("page.effort")), effort), again, stop),
    text, pair, curve,
  );
  photo.redraw();
  measurePace(effort);
  return { close: () => (photo.redraw = null) };
}
