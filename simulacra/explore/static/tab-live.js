// The live tab: what moves the picture, what is moved, and by how much; full screen and recording.
import { directionTitle } from "./directions.js";
import * as live from "./live.js";
import { t } from "./messages.js";
import { byId, el, offNote, select, slider, toast } from "./parts.js";
import { commit, state } from "./state.js";

const STORAGE = "simulacra.live"; // routes by model
const SECONDS = 20; // of a loop
const NEW = { source: "", target: "truncation", amount: 1 };

let settings = null; // {model, routes, wander, seconds}; stays while other tabs are open
let way = null;

function restored() {
  if (settings?.model === state.facts.model) return settings;
  settings = { model: state.facts.model, routes: [], wander: true, seconds: SECONDS };
  try {
    const stored = JSON.parse(localStorage.getItem(STORAGE))?.[state.facts.model];
    if (Array.isArray(stored?.routes)) Object.assign(settings, stored);
  } catch {
    // storage may be forbidden or hold something else: routes then begin empty
  }
  return settings;
}

function store() {
  try {
    const all = JSON.parse(localStorage.getItem(STORAGE)) ?? {};
    localStorage.setItem(STORAGE, JSON.stringify({ ...all, [settings.model]: settings }));
  } catch {
    // they then last as long as the page
  }
}

const targets = () => [
  ["truncation", t("page.truncation")],
  ["speed", t("page.live_speed")],
  ...(state.facts.noise ? [["noise", t("page.noise")]] : []),
  ...state.directions.map(({ name }) => [`edit:${name}`, directionTitle(name)]),
];

const TITLES = {
  knob: "page.live_knob", note: "page.live_note",
  level: "page.live_level", bass: "page.live_bass", middle: "page.live_middle", treble: "page.live_treble", onset: "page.live_onset",
};

function sourceTitle(source) {
  if (!source) return t("page.live_learn");
  const [kind, number] = source.split(" ");
  return t(TITLES[kind], { number });
}

export function draw(panel) {
  const saved = restored();
  const rows = el("ul", { class: "routes" });
  const devices = el("p", { class: "soft small", role: "status" });
  const meter = el("progress", { max: 1, value: 0, "aria-label": t("page.live_place") });

  const none = offNote(t("page.live_none"));
  const drawRoutes = () => {
    none.hidden = saved.routes.length > 0;
    rows.replaceChildren(...saved.routes.map((route, i) => {
      const sources = [["", t("page.live_learn")], ...live.BANDS.map((band) => [band, sourceTitle(band)])];
      if (route.source && !live.BANDS.includes(route.source)) sources.push([route.source, sourceTitle(route.source)]);
      const from = select(t("page.live_source"), sources, route.source, (source) => {
        route.source = source;
        if (!source) live.learn((knob) => {
          route.source = knob;
          live.learn(null);
          store();
          drawRoutes();
        });
        store();
      });
      const to = select(t("page.live_target"), targets(), route.target, (target) => {
        route.target = target;
        store();
      });
      const amount = slider({ name: t("page.live_amount"), min: -3, max: 3, step: 0.1, value: route.amount, digits: 1, input: (number) => {
        route.amount = number;
        store();
      } });
      const remove = el("button", { type: "button", class: "quiet", click: () => {
        saved.routes.splice(i, 1);
        store();
        drawRoutes();
      } }, t("page.live_remove"));
      return el("li", {}, from, el("span", { "aria-hidden": "true" }, "→"), to, amount.row, remove);
    }));
  };

  const add = el("button", { type: "button", click: () => {
    const route = { ...NEW };
    saved.routes.push(route);
    live.learn((knob) => {
      route.source = knob;
      live.learn(null);
      store();
      drawRoutes();
    });
    store();
    drawRoutes();
  } }, t("page.live_add"));

  const midi = el("button", { type: "button", click: async () => {
    try {
      await live.startMidi((names) => (devices.textContent = names.length ? t("page.live_devices", { names: names.join(", ") }) : t("page.live_no_devices")));
    } catch {
      toast(t("page.live_no_midi"));
    }
  } }, t("page.live_midi"));
  let hearing = false;
  const sound = el("button", { type: "button", "aria-pressed": "false", click: async () => {
    try {
      if (hearing) live.stopMicrophone();
      else await live.startMicrophone();
      hearing = !hearing;
      sound.setAttribute("aria-pressed", String(hearing));
    } catch {
      toast(t("page.live_no_sound"));
    }
  } }, t("page.live_sound"));

  const wander = el("input", { type: "checkbox", checked: saved.wander, change: () => {
    saved.wander = wander.checked;
    store();
  } });
  const seconds = slider({ name: t("page.live_seconds"), min: 4, max: 120, step: 1, digits: 0, zero: 4, value: saved.seconds, input: (number) => {
    saved.seconds = number;
    store();
  } });
  const start = el("button", { type: "button", class: "primary", click: async () => {
    if (live.isPlaying()) {
      live.stop();
      commit(state.recipe);
      start.textContent = t("page.live_start");
      return;
    }
    try {
      way = await live.makeWay(state.recipe);
    } catch (error) {
      way = null; // a picture that starts from w has no z to wander from
      if (saved.wander) toast(error.message);
    }
    live.play(() => ({ routes: saved.routes, way: saved.wander ? way : null, seconds: saved.seconds }), (at) => (meter.value = at));
    start.textContent = t("page.live_stop");
  } }, t(live.isPlaying() ? "page.live_stop" : "page.live_start"));

  const whole = el("button", { type: "button", click: () => byId("picture").requestFullscreen?.() }, t("page.live_full_screen"));
  let recording = null;
  const film = el("button", { type: "button", click: async () => {
    if (!recording) {
      recording = live.record(byId("picture"));
      film.textContent = t("page.live_record_stop");
      return;
    }
    const blob = await recording.stop();
    recording = null;
    film.textContent = t("page.live_record");
    const link = el("a", { href: URL.createObjectURL(blob), download: `${state.facts.name}.webm` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } }, t("page.live_record"));
  film.hidden = !globalThis.MediaRecorder || !HTMLCanvasElement.prototype.captureStream;

  drawRoutes();
  panel.append(
    el("div", { class: "head" }, el("p", {}, t("page.live_intro"))),
    el("div", { class: "row" }, start, whole, film), meter,
    el("div", { class: "row" }, el("label", { class: "check" }, wander, t("page.live_wander"))), seconds.row,
    el("h3", {}, t("page.live_routes")), el("div", { class: "row" }, midi, sound, add), devices, rows, none,
  );
  return { close: () => live.learn(null) };
}
