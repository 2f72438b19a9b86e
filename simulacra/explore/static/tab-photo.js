// A photo: the model looks for the picture of its own that is nearest.
import * as api from "./api.js";
import { el, latest, say, select } from "./parts.js";
import { commit, state } from "./state.js";
import { chart } from "./chart.js";
import { t } from "./words.js";

const EFFORTS = [["150", "quick"], ["400", "good"], ["1200", "patient"]];
const LONGEST = 32 << 20; // bytes, as the server has it

// What outlives a look at another tab: the file, the course of the search, and the job.
const now = { file: null, url: "", effort: "400", job: null, after: null, points: [], text: () => "", face: "", redraw: null };

const portray = latest(async (url) => {
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    now.face = url;
    now.redraw?.();
  } catch {
    // the job was over before its picture came: the found one is drawn anyway
  }
});

function tell(news) {
  if (news.step == null) return; // it has only begun
  if (news.step) now.points.push([news.step, news.psnr]);
  now.text = () => t(news.step ? "progress" : "breeding", news.psnr.toFixed(1), news.step);
  portray(`/api/jobs/${now.job}/picture?step=${news.step}&psnr=${news.psnr}`);
  now.redraw?.();
}

export async function look(file = now.file) {
  if (!file) return;
  if (file.size > LONGEST) {
    say(t("tooLarge", LONGEST >> 20));
    return;
  }
  if (now.job) {
    now.after = file; // as soon as the search under way has stopped
    await api.cancel(now.job);
    return;
  }
  if (file !== now.file) {
    if (now.url) URL.revokeObjectURL(now.url);
    Object.assign(now, { file, url: URL.createObjectURL(file) });
  }
  Object.assign(now, { points: [], text: () => t("starting"), face: "" });
  try {
    const { job } = await api.startPhoto(file, now.effort);
    now.job = job;
    now.redraw?.();
    const last = await api.follow(job, tell);
    if (now.job === job) now.job = null;
    const reached = now.points.at(-1)?.[1].toFixed(1) ?? "–";
    now.text = () => t("looked", reached);
    portray(URL.createObjectURL(await api.picture({ recipe: last.recipe, format: "auto" })));
    commit(last.recipe);
  } catch (error) {
    Object.assign(now, { job: null, text: () => error.message });
  }
  now.redraw?.();
  const { after } = now;
  now.after = null;
  if (after) look(after);
}

export function draw(panel) {
  const input = el("input", { type: "file", id: "photofile", accept: "image/*", class: "unseen", change: () => look(input.files[0]) });
  const effort = select(t("effort"), EFFORTS.map(([steps, word]) => [steps, t(word)]), now.effort, (value) => (now.effort = value));
  const target = el("figure", {});
  const found = el("figure", {});
  const course = el("div", {});
  const text = el("p", { role: "status", class: "soft" });
  const again = el("button", { type: "button", click: () => look() }, t("again"));
  const stop = el("button", { type: "button", click: () => now.job && api.cancel(now.job) }, t("stop"));
  const side = el("div", { class: "pair" }, target, found);
  now.redraw = () => {
    side.hidden = !now.file;
    target.replaceChildren(now.url ? el("img", { src: now.url, alt: t("target") }) : "", el("figcaption", {}, t("target")));
    found.replaceChildren(now.face ? el("img", { src: now.face, alt: t("found") }) : el("span", { class: "blank" }), el("figcaption", {}, t("found")));
    found.querySelector("img")?.classList.toggle("pixelated", state.facts.shape[1] < 48);
    course.replaceChildren(now.points.length > 1 ? chart(t("closeness"), [{ points: now.points }]) : "");
    text.textContent = now.text();
    again.hidden = !now.file || Boolean(now.job);
    stop.hidden = !now.job;
  };
  panel.append(
    el("div", { class: "head" }, el("p", {}, t("photoIs"))),
    el("div", { class: "row dropline" }, input, el("label", { for: "photofile", class: "button primary" }, t("choose")), el("span", { class: "soft" }, t("orDrop"))),
    el("div", { class: "row" }, el("label", { class: "field" }, el("span", {}, t("effort")), effort), again, stop),
    text, side, course,
  );
  now.redraw();
  return { close: () => (now.redraw = null) };
}
