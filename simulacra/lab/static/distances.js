// Two parallel lines at a gap: Jensen-Shannon does not say which way to go, Wasserstein does.
import { chart } from "/static/chart.js";
import { t } from "/static/messages.js";
import { el, slider, svg, toast } from "/static/parts.js";
import * as api from "./requests.js";

const START = 1; // gap
const [WIDE, TALL] = [380, 130];
const EDGE = { left: 52, right: 10 }; // as in the chart below, so that q stands above its dot

// The value of a curve between its points.
function between(gaps, values, gap) {
  const at = Math.min(gaps.length - 1, Math.max(0, (gap - gaps[0]) / (gaps[1] - gaps[0])));
  const [left, share] = [Math.min(Math.floor(at), gaps.length - 2), at - Math.min(Math.floor(at), gaps.length - 2)];
  return values[left] * (1 - share) + values[left + 1] * share;
}

const number = (value) => (Math.abs(value) < 5e-4 ? "0" : String(Number(value.toFixed(3)))).replace("-", "−");

function lines(most, gap) {
  const x = (value) => EDGE.left + ((WIDE - EDGE.left - EDGE.right) * (value + most)) / (2 * most);
  const line = (at, name, text, y) => [
    svg("line", { x1: x(at), x2: x(at), y1: 22, y2: TALL - 22, class: name }), svg("text", { x: x(at), y, "text-anchor": "middle", class: name }, text)];
  return svg("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, role: "img", "aria-label": t("lab.page_lines", { gap: number(gap) }), class: "chart lines" },
    ...line(0, "c0", "p", 14), ...line(gap, "c1", "q", TALL - 6));
}

export async function draw(box) {
  const { gaps, js, w } = await api.distances();
  const most = gaps.at(-1);
  let place = { js: START, w: START }; // of q, by either descent; the slider sets both
  let descent = null; // {paths, step}
  let playing = false;
  let isOpen = true;
  const shown = el("div", { class: "descents" });
  const now = el("p", { class: "now" });

  function panel(name, curve) {
    const at = place[name];
    const [value, slope] = [between(gaps, curve.values, at), between(gaps, curve.slopes, at)].map(number);
    const points = [...gaps.map((gap, i) => [gap, curve.values[i]]), [at, between(gaps, curve.values, at)]].sort(([a], [b]) => a - b);
    return el("section", { "data-name": name }, el("h2", {}, t(name === "js" ? "lab.page_js" : "lab.page_w")), lines(most, at),
      chart(t("lab.page_distance", { gap: number(at), value, slope }), [{ points, mark: at }], { low: 0 }));
  }
  function paint() {
    shown.replaceChildren(panel("js", js), panel("w", w));
    now.textContent = descent ? t("lab.page_descended", { step: descent.step, js: number(place.js), w: number(place.w) }) : "";
    now.setAttribute("aria-live", playing ? "off" : "polite");
    button.textContent = t(playing ? "lab.page_pause" : "lab.page_descend");
  }
  // One step of both descents, which begin at the slider's gap.
  async function step() {
    descent ??= { paths: await api.descents(place.js), step: 0 };
    descent.step = Math.min(descent.step + 1, descent.paths.w.length - 1);
    place = { js: descent.paths.js[descent.step], w: descent.paths.w[descent.step] };
    if (descent.step === descent.paths.w.length - 1) playing = false;
    if (isOpen) paint();
  }
  async function play() {
    if (descent && descent.step === descent.paths.w.length - 1) put(gap.range.valueAsNumber);
    playing = true;
    try {
      while (playing) {
        await step();
        await new Promise(requestAnimationFrame);
      }
    } catch (error) {
      playing = false;
      toast(error.message);
    }
    if (isOpen) paint();
  }
  const toggle = () => {
    if (!playing) return play();
    playing = false;
    return paint();
  };
  function put(value) {
    playing = false;
    descent = null;
    place = { js: value, w: value };
    paint();
  }

  const button = el("button", { type: "button", class: "primary play", click: toggle });
  const gap = slider({ name: t("lab.page_gap"), min: gaps[0], max: most, step: 0.02, value: START, input: put });
  box.append(
    el("div", { class: "pace" }, gap.row), el("div", { class: "row" }, button), now, shown,
    el("p", { class: "lesson" }, t("lab.page_distances_lesson")));
  paint();
  return {
    toggle, step,
    close: () => {
      isOpen = false;
      playing = false;
    },
  };
}
