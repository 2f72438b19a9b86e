// The live tab: what moves the picture, what is moved, and by how much; full screen and recording.
import * as api from "./api.js";
import { directionTitle } from "./directions.js";
import * as live from "./live.js";
import { PageError, t } from "./messages.js";
import * as osc from "./osc.js";
import { byId, el, offNote, select, slider, toast } from "./parts.js";
import { commit, state } from "./state.js";
import { keyframeWay, randomWay } from "./ways.js";

const STORAGE = "simulacra.live"; // routes by model
const MAX_STOPS = 24; // pictures on a way
const SECONDS = 20; // of a loop
const NEW = { source: "", target: "truncation", amount: 1 };

let settings = null; // {model, routes, wander, easing, seconds}; stays while other tabs are open
let way = null;
let recording = null; // {stop, loop}
let toPrograms = null; // sends what is played, once a receiver is known

function restored() {
  if (settings?.model === state.facts.model) return settings;
  settings = { model: state.facts.model, routes: [], wander: "random", easing: "smooth", seconds: SECONDS };
  try {
    const stored = JSON.parse(localStorage.getItem(STORAGE))?.[state.facts.model];
    if (Array.isArray(stored?.routes)) Object.assign(settings, stored);
    if (typeof settings.wander === "boolean") settings.wander = settings.wander ? "random" : "no"; // of an older page
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

const wanderings = () => [["no", t("page.live_wander_no")], ["random", t("page.live_wander_random")], ["stars", t("page.live_wander_stars")]];
const easings = () => [["linear", t("page.live_easing_linear")], ["smooth", t("page.live_easing_smooth")], ["pause", t("page.live_easing_pause")]]; // of `EASINGS`

const TITLES = {
  knob: "page.live_knob", note: "page.live_note", osc: "page.live_osc_address",
  level: "page.live_level", bass: "page.live_bass", middle: "page.live_middle", treble: "page.live_treble", onset: "page.live_onset",
};

function sourceTitle(source) {
  if (!source) return t("page.live_learn");
  const [kind, ...words] = source.split(" ");
  return t(TITLES[kind], { number: words[0], address: words.join(" ") });
}

function newWay({ wander, easing }) {
  if (wander === "no") return null;
  if (wander === "random") return randomWay(state.recipe);
  if (state.stars.length < 2) throw new PageError("page.live_few_stars");
  return keyframeWay(state.stars.slice(0, MAX_STOPS), easing);
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

  const easing = select(t("page.live_easing"), easings(), saved.easing, (name) => {
    saved.easing = name;
    store();
  });
  const wander = select(t("page.live_wander"), wanderings(), saved.wander, (name) => {
    saved.wander = name;
    easing.hidden = name !== "stars";
    store();
  });
  easing.hidden = saved.wander !== "stars";
  const seconds = slider({ name: t("page.live_seconds"), min: 4, max: 120, step: 1, digits: 0, zero: 4, value: saved.seconds, input: (number) => {
    saved.seconds = number;
    store();
  } });
  const stop = () => {
    live.stop();
    commit(state.recipe);
    start.textContent = t("page.live_start");
  };
  const begin = async () => {
    try {
      way = await newWay(saved);
    } catch (error) {
      way = null; // a picture that starts from w has no z to wander from
      toast(error.message);
    }
    live.play(() => ({ routes: saved.routes, way: saved.wander === "no" ? null : way, seconds: saved.seconds }), (at, turns) => {
      meter.value = at;
      toPrograms?.(at);
      if (recording?.loop && turns) save();
    });
    start.textContent = t("page.live_stop");
  };
  const start = el("button", { type: "button", class: "primary", click: () => (live.isPlaying() ? stop() : begin()) }, t(live.isPlaying() ? "page.live_stop" : "page.live_start"));

  const whole = el("button", { type: "button", click: () => byId("picture").requestFullscreen?.() }, t("page.live_full_screen"));
  const save = async () => {
    const { stop: end } = recording;
    recording = null;
    film.textContent = t("page.live_record");
    const blob = await end();
    const link = el("a", { href: URL.createObjectURL(blob), download: `${state.facts.name}.webm` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };
  const record = (loop) => {
    recording = { ...live.record(byId("picture")), loop };
    film.textContent = t("page.live_record_stop");
  };
  const film = el("button", { type: "button", click: () => (recording ? save() : record(false)) }, t(recording ? "page.live_record_stop" : "page.live_record"));
  const loop = el("button", { type: "button", click: async () => {
    if (recording) return;
    await begin();
    if (way) record(true);
  } }, t("page.live_record_loop"));
  film.hidden = loop.hidden = !globalThis.MediaRecorder || !HTMLCanvasElement.prototype.captureStream;

  const programs = el("p", { class: "soft small" });
  const connect = async () => {
    const ways = await api.osc();
    if (!ways) return; // no server
    const { port, to } = ways;
    if (port) osc.listen((error) => toast(error.message));
    if (to) toPrograms ??= osc.sender((error) => toast(error.message));
    const lines = [port && t("page.live_osc_in", { port }), to && t("page.live_osc_out", { to })].filter(Boolean);
    programs.textContent = lines.join(" ") || t("page.live_osc_off");
  };
  if (!state.facts.exhibit) connect().catch((error) => toast(error.message)); // OSC needs a server

  drawRoutes();
  panel.append(
    el("div", { class: "head" }, el("p", {}, t("page.live_intro"))),
    el("div", { class: "row" }, start, whole, film, loop), meter,
    el("div", { class: "row" }, wander, easing), seconds.row,
    el("h3", {}, t("page.live_routes")), el("div", { class: "row" }, midi, sound, add), devices, programs, rows, none,
  );
  return { close: () => live.learn(null) };
}
