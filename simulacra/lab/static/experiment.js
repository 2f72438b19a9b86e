// A GAN that learns points of the plane: play, pause, single steps, and what came of it so far.
import { chart } from "/static/chart.js";
import { formatNumber, t } from "/static/messages.js";
import { el, slider, toast } from "/static/parts.js";
import { plane } from "./plane.js";
import * as api from "./requests.js";
import { settings } from "./settings.js";

const SPEEDS = [1, 2, 5, 10, 20, 50, 100, 200]; // steps between two frames
const MOST_LOOKS = 240; // of a chart; then every second one is dropped
const CHART_EVERY = 3; // frames, while it plays

const total = ({ steps }) => steps.D + steps.G;
const look = (frame) => ({
  step: total(frame), modes: frame.scores.now.modes, average: frame.scores.average.modes, d: frame.losses.D, g: frame.losses.G,
});

// Begins an experiment: what the server holds, and what was seen of it.
export async function begin({ target, gan, seed, settings: given }) {
  const opened = await api.open({ target, gan, seed, settings: given });
  return { ...opened, looks: [look(opened.frame)] };
}

function remember(experiment, frame) {
  experiment.frame = frame;
  if (total(frame) > experiment.looks.at(-1).step) experiment.looks.push(look(frame));
  if (experiment.looks.length > MOST_LOOKS) experiment.looks = experiment.looks.filter((_, i) => i % 2 === 0 || i === experiment.looks.length - 1);
}

function charts({ looks, modes }) {
  const line = (name, label) => ({ name: label, points: looks.filter((one) => one[name] != null).map((one) => [one.step, one[name]]) });
  const losses = [line("d", "D"), line("g", "G")].filter(({ points }) => points.length);
  return [
    chart(t("lab.page_modes_chart", { total: modes }), [line("modes"), line("average")], { low: 0, high: modes }),
    losses.length === 2 ? chart(t("lab.page_loss_chart"), losses) : null,
  ];
}

// speed: {steps}, kept when another experiment begins. onRestart(change): begin anew with a change of {seed, settings}.
export function draw(box, experiment, speed, { onRestart }) {
  const stage = plane(experiment.extent, experiment.mesh);
  const reals = api.floats(experiment.reals);
  const now = el("p", { class: "now" });
  const command = el("div", { class: "command" });
  const curves = el("div", { class: "curves" });
  let playing = false;
  let frames = 0;
  let changed = {}; // rates that the next request sets
  let last = Promise.resolve(); // of the requests, one after the other
  let isOpen = true;

  const sentence = ({ steps, scores }) =>
    t("lab.page_now", { step: formatNumber(steps.D + steps.G), d: formatNumber(steps.D), g: formatNumber(steps.G), modes: scores.now.modes, total: experiment.modes, good: Math.round(100 * scores.now.good) });

  function paint() {
    const { frame } = experiment;
    stage.draw(api.levels(frame.field), reals, api.floats(frame.fakes));
    now.textContent = sentence(frame);
    now.setAttribute("aria-live", playing ? "off" : "polite");
    if (playing && frames++ % CHART_EVERY) return;
    stage.canvas.setAttribute("aria-label", t("lab.page_plane", { modes: frame.scores.now.modes, total: experiment.modes }));
    curves.replaceChildren(...charts(experiment).filter(Boolean));
    const note = (text) => el("p", { class: "soft small" }, text);
    if (!total(frame)) command.replaceChildren();
    else if (frame.command) command.replaceChildren(note(t("lab.page_command")), el("code", {}, frame.command));
    else command.replaceChildren(note(t("lab.page_no_command")));
  }

  // One request, after those before it. A refusal pauses and is said.
  function advance(steps, of) {
    last = last.then(async () => {
      if (!isOpen) return;
      const content = { steps, of, settings: changed };
      changed = {};
      try {
        const frame = await api.advance(experiment.id, content);
        if (!isOpen) return;
        remember(experiment, frame);
        if (Object.keys(content.settings).length) controls.follow(frame.rates);
        paint();
      } catch (error) {
        pause();
        if (isOpen) toast(error.message);
      }
    });
    return last;
  }

  const label = () => {
    button.textContent = t(playing ? "lab.page_pause" : "lab.page_play");
    button.setAttribute("aria-pressed", playing);
  };
  function pause() {
    if (!playing) return;
    playing = false;
    label();
    if (isOpen) paint();
  }
  async function play() {
    playing = true;
    label();
    while (playing) {
      await advance(speed.steps, "turn");
      await new Promise(requestAnimationFrame); // also waits while the page is hidden
    }
  }
  const toggle = () => (playing ? pause() : play());
  const step = (of = "round") => {
    pause();
    return advance(1, of);
  };

  const button = el("button", { type: "button", class: "primary play", click: toggle });
  const controls = settings(experiment.controls, experiment.frame.rates, {
    onRate: (name, value) => {
      experiment.given = { ...experiment.given, [name]: String(value) };
      changed[name] = value;
      if (!playing) advance(0, "turn");
    },
    onRestart: (name, value) => onRestart({ settings: { ...experiment.given, [name]: value } }),
  });
  const seed = el("input", { type: "text", inputmode: "numeric", class: "seed", value: experiment.seed, change: () => restart() });
  const restart = () => onRestart({ settings: experiment.given, seed: /^\d{1,10}$/.test(seed.value.trim()) ? Number(seed.value) : seed.value });
  const speeds = slider({
    name: t("lab.page_speed"), min: 0, max: SPEEDS.length - 1, step: 1, value: SPEEDS.indexOf(speed.steps), format: (at) => String(SPEEDS[at]),
    input: (at) => (speed.steps = SPEEDS[at]),
  });
  const plain = (code, work, title) => el("button", { type: "button", click: work, title: t(title) }, t(code));
  box.append(
    el("section", { class: "stage" },
      el("div", { class: "row" }, button,
        plain("lab.page_step", () => step(), "lab.page_step_title"), plain("lab.page_step_d", () => step("D"), "lab.page_step_d_title"),
        plain("lab.page_step_g", () => step("G"), "lab.page_step_g_title"), plain("lab.page_restart", restart, "lab.page_restart_title")),
      now, stage.canvas,
      el("p", { class: "soft small" }, t(experiment.critic ? "lab.page_legend_critic" : "lab.page_legend")),
      el("div", { class: "pace" }, speeds.row, el("label", { class: "field" }, t("lab.page_seed"), seed)),
      el("p", { class: "soft small" }, t("lab.page_keys")), command),
    el("section", { class: "side" }, curves, controls.box));
  label();
  paint();
  return {
    toggle, step, play,
    close: () => {
      isOpen = false;
      playing = false;
      stage.close();
    },
  };
}
