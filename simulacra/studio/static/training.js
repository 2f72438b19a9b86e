// A run: its previews, its clock, its verdicts, its scores and losses, and the buttons that steer it.
import { chart } from "/static/chart.js";
import { formatNumber, t } from "/static/messages.js";
import { el, offNote, select, slider, toast } from "/static/parts.js";
import { go } from "./library.js";
import { pacing } from "./pace.js";
import * as api from "./requests.js";

const POLL = 2000; // ms between looks at the run
const MORE = 10; // minutes of the button

const time = (seconds) => (seconds < 90 ? t("studio.seconds", { count: Math.ceil(seconds) }) : seconds < 5400 ? t("studio.minutes", { count: Math.ceil(seconds / 60) }) : t("studio.hours", { count: (seconds / 3600).toFixed(1) }));

export async function draw(box, path) {
  let isOpen = true;
  let drawn = ""; // what the slow parts were drawn from
  let at = null; // the preview on show; null follows the newest
  const title = el("h2", {}, path.split("/").at(-1));
  const status = el("p", { role: "status" });
  const buttons = el("div", { class: "row" });
  const image = el("img", { class: "preview", alt: "" });
  const moments = el("div", {});
  const side = el("div", { class: "side" });
  const log = el("pre", { class: "log", tabindex: 0 });
  const said = el("details", {}, el("summary", {}, t("studio.log")), log);
  const forking = el("details", { hidden: true });
  const act = (work, said) => async () => {
    try {
      await work();
      if (said) toast(t(said));
      await refresh();
    } catch (error) {
      toast(error.message);
    }
  };
  const button = (text, work, props = {}) => el("button", { type: "button", ...props, click: work }, t(text));

  const drawButtons = ({ alive, process, checkpoints, originals }) => {
    const ours = process?.state === "running" ? process : null;
    const running = alive || Boolean(ours);
    buttons.replaceChildren(...[
      ours && button("studio.stop", act(() => api.stop(ours.id), "studio.stopping")),
      !running && button("studio.go_on", act(() => api.train({ run: path })), { class: "primary" }),
      !running && button("studio.more", act(() => api.train({ run: path, minutes: MORE }))),
      !running && checkpoints.length > 0 && button("studio.score_now", act(() => api.score(path), "studio.scoring")),
      !running && originals && checkpoints.length > 0 && button("studio.enlarge", act(() => api.upscale(path), "studio.enlarging")),
      checkpoints.length > 0 && el("a", { class: "button", href: api.modelAddress(path) }, t("studio.open_model")),
    ].filter(Boolean));
    if (alive && !ours) buttons.append(offNote(t("studio.elsewhere")));
  };

  const drawStatus = (run) => {
    const parts = [
      run.alive ? t("studio.training_now") : t("studio.not_training"),
      t("page.images_shown", { nimg: formatNumber(Math.max(run.images, run.previews.at(-1) ?? 0, Number(run.checkpoints.at(-1) ?? 0))) }), // both may be newer than the last line
      run.speed && t("studio.speed", { count: formatNumber(Math.round(run.speed)) }),
      run.seconds > 0 && t("studio.spent", { time: time(run.seconds) }),
      run.alive && run.left && t("studio.left", { time: time(run.left) }),
    ];
    status.textContent = parts.filter(Boolean).join(" · ");
    log.textContent = (run.process?.lines ?? []).join("\n");
  };

  const pace = pacing(path, image, () => isOpen);
  const show = (nimg) => {
    if (pace.isPaced()) return; // it shows the moment
    image.src = api.address("/preview", { path, nimg });
    image.alt = t("page.preview_of", { nimg: formatNumber(nimg) });
  };

  const drawPreviews = ({ previews, checkpoints, alive, process }) => {
    if (!previews.length) {
      image.hidden = said.open = true;
      const trains = alive || process?.state === "running";
      return moments.replaceChildren(offNote(t(trains ? "studio.no_preview_yet" : checkpoints.length ? "studio.no_preview" : "studio.nothing_drawn")));
    }
    image.hidden = false;
    show(at ?? previews.at(-1));
    if (previews.length < 2) return moments.replaceChildren();
    const last = previews.length - 1;
    const control = slider({ name: t("page.previews"), min: 0, max: last, step: 1, digits: 0, value: at == null ? last : previews.indexOf(at), input: (i) => {
      at = i === last ? null : previews[i];
      show(previews[i]);
    } });
    return moments.replaceChildren(control.row);
  };

  const drawSide = (run) => {
    const parts = run.health.map(({ sentence, advice, since }) =>
      el("div", { class: "verdict" }, el("p", {}, sentence), el("p", { class: "soft small" }, advice),
        el("button", { type: "button", class: "quiet", click: () => {
          at = run.previews.findLast((nimg) => nimg <= since) ?? run.previews[0];
          drawPreviews(run);
        } }, t("studio.moment", { nimg: formatNumber(since) }))));
    if (run.scores.length > 1) {
      const band = run.scores.map(({ nimg, low, high }) => [nimg, low, high]);
      const points = run.scores.map(({ nimg, value }) => [nimg, value]);
      parts.push(chart(t("page.score_curve", { metric: run.scores[0].name }), [{ points, band, mark: Number(run.best) }]), el("p", { class: "soft small" }, t("studio.score_meaning")));
    } else parts.push(offNote(t("studio.no_scores")));
    const losses = ["d_loss", "g_loss"].map((name) => ({ name: name[0].toUpperCase(), points: run.journal.filter((line) => line[name] != null).map((line) => [line.nimg, line[name]]) }));
    if (losses.every(({ points }) => points.length > 1)) parts.push(chart(t("page.loss_curve"), losses), el("p", { class: "soft small" }, t("studio.loss_meaning")));
    if (run.reasons.length) parts.push(el("details", {}, el("summary", {}, t("studio.why", { gan: run.gan })), el("ul", {}, ...run.reasons.map((reason) => el("li", {}, reason)))));
    side.replaceChildren(...parts);
  };

  // Another future: a new run from one of the checkpoints, with other settings.
  const drawForking = ({ checkpoints }) => {
    forking.hidden = !checkpoints.length;
    if (forking.hidden || forking.open) return;
    const at = select(t("studio.fork_at"), checkpoints.toReversed().map((name) => [name, formatNumber(Number(name))]), checkpoints.at(-1), () => {}, { id: "at" });
    const settings = el("input", { id: "settings", placeholder: "lr=1e-3 gamma=0.1", autocomplete: "off", spellcheck: "false" });
    const name = el("input", { id: "fork-name", value: `${path.split("/").at(-1)}-fork`, maxlength: 60 });
    const form = el("form", { class: "choices", submit: async (event) => {
      event.preventDefault();
      try {
        const ended = await api.follow((await api.fork({ run: path, name: name.value, at: at.value, settings: settings.value })).id, () => {}, () => isOpen);
        if (ended?.state === "done") go("run", ended.subject);
        else if (ended) throw new Error(ended.lines.at(-1) ?? t("studio.went_wrong"));
      } catch (error) {
        toast(error.message);
      }
    } },
      el("p", { class: "soft small" }, t("studio.fork_about")),
      el("label", { class: "field" }, t("studio.fork_at"), at), el("label", { class: "field" }, t("studio.fork_settings"), settings),
      el("label", { class: "field" }, t("studio.name"), name), el("button", {}, t("studio.fork")));
    forking.replaceChildren(el("summary", {}, t("studio.fork_title")), form);
  };

  const refresh = async () => {
    const run = await api.run(path);
    if (!isOpen) return;
    drawStatus(run);
    pace.update(run);
    const now = JSON.stringify([run.previews, run.scores, run.journal.length, run.health, run.alive, run.process?.state, run.checkpoints.length]);
    if (now === drawn) return;
    drawn = now;
    drawButtons(run);
    drawPreviews(run);
    drawSide(run);
    drawForking(run);
  };
  box.append(title, status, buttons, el("div", { class: "watch" }, el("div", {}, image, moments, pace.node, forking, said), side));
  try {
    await refresh();
  } catch (error) {
    status.textContent = error.message;
  }
  const timer = setInterval(() => !document.hidden && refresh().catch((error) => (status.textContent = error.message)), POLL);
  return {
    close: () => {
      isOpen = false;
      clearInterval(timer);
    },
  };
}
