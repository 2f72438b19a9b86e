// Playing live: sources (MIDI knobs and notes, the microphone, a wandering) move targets (sliders, truncation, noise).
// A route is {source, target, amount}: the target moves by amount times the source's value, which is 0 to 1.
import { change, on, state, tidy, withEdit } from "./state.js";

export const BANDS = ["level", "bass", "middle", "treble", "onset"]; // of the microphone
const EDGES = { bass: [20, 250], middle: [250, 2000], treble: [2000, 8000] }; // Hz
const SMOOTH = 0.75; // of the microphone's last value that stays, each frame
const ONSET = 1.6; // a level so many times the running mean is an onset
const DECAY = 0.9; // of an onset, each frame

const values = new Map(); // source -> its newest value
export const value = (source) => values.get(source) ?? 0;

let listener = null; // called with the next source from outside that moves
export const learn = (callback) => (listener = callback);

// A new value, 0 to 1, of a source outside the page.
export function feed(source, number) {
  values.set(source, number);
  listener?.(source);
}

// --- MIDI ---------------------------------------------------------------------------------------------------------

function onMessage({ data: [status, number, amount] }) {
  const kind = { 0x80: "note", 0x90: "note", 0xb0: "knob" }[status & 0xf0];
  if (kind) feed(`${kind} ${number}`, (status & 0xf0) === 0x80 ? 0 : amount / 127);
}

// The names of the connected devices. Rejects where the browser has no MIDI or it is not allowed.
export async function startMidi(onChange) {
  const access = await navigator.requestMIDIAccess();
  const connect = () => {
    for (const input of access.inputs.values()) input.onmidimessage = onMessage;
    onChange([...access.inputs.values()].map(({ name }) => name));
  };
  access.onstatechange = connect;
  connect();
}

// --- the microphone -------------------------------------------------------------------------------------------------

let microphone = null; // {context, stream, analyser, bins, mean}

export async function startMicrophone() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 1024, smoothingTimeConstant: 0.5 });
  context.createMediaStreamSource(stream).connect(analyser);
  microphone = { context, stream, analyser, bins: new Uint8Array(analyser.frequencyBinCount), mean: 0 };
}

export function stopMicrophone() {
  if (!microphone) return;
  for (const track of microphone.stream.getTracks()) track.stop();
  microphone.context.close();
  microphone = null;
  for (const band of BANDS) values.delete(band);
}

function listen() {
  const { analyser, bins, context } = microphone;
  analyser.getByteFrequencyData(bins);
  const mean = (from, to) => {
    const width = context.sampleRate / analyser.fftSize; // Hz of a bin
    const part = bins.subarray(Math.floor(from / width), Math.max(Math.ceil(to / width), Math.floor(from / width) + 1));
    return part.reduce((sum, bin) => sum + bin, 0) / part.length / 255;
  };
  const level = mean(...[EDGES.bass[0], EDGES.treble[1]]);
  const onset = level > 0.02 && level > ONSET * microphone.mean;
  microphone.mean = 0.95 * microphone.mean + 0.05 * level;
  const smooth = (name, now) => values.set(name, SMOOTH * value(name) + (1 - SMOOTH) * now);
  smooth("level", level);
  for (const [name, edges] of Object.entries(EDGES)) smooth(name, mean(...edges));
  values.set("onset", onset ? 1 : DECAY * value("onset"));
}

// --- routes to the picture ----------------------------------------------------------------------------------------------

const STARTS = ["seed", "z", "w"]; // of a recipe, one of them
const IN_W = ["numbers", "other", "layers", "truncation", "layer_truncation", "edits"]; // what a picture's final w has in it

// The recipe `base` with what the routes add to it. way: the start by place; at: the place, 0 to 1.
export function played(base, routes, way, at) {
  let recipe = { ...base };
  if (way) {
    for (const name of STARTS) delete recipe[name];
    Object.assign(recipe, way(at));
  }
  for (const { source, target, amount } of routes) {
    const move = amount * value(source);
    if (!target || !source || !move) continue;
    const [kind, ...name] = target.split(":");
    if (kind === "edit") {
      const before = recipe.edits?.[name.join(":")];
      const strength = (before?.strength ?? before ?? 0) + move;
      recipe = withEdit(recipe, name.join(":"), { ...(before?.layers ? { layers: before.layers } : {}), strength: Math.max(-10, Math.min(10, strength)) });
    } else if (kind === "truncation") recipe = tidy({ ...recipe, truncation: Math.max(0, Math.min(1.5, (recipe.truncation ?? 1) + move / 3)) });
    else if (kind === "noise") recipe = tidy({ ...recipe, noise: Math.max(0, Math.round((recipe.noise ?? 0) + 10 * move)) || null });
  }
  return recipe;
}

let running = null; // {base, last, stop}
let ours = false; // whether the recipe that is being emitted comes from here

// What the user changes while it plays goes into the base, without what the routes added to the picture.
on("recipe", (recipe) => {
  if (!running || ours) return;
  const { base, last } = running;
  for (const name of [...STARTS, "numbers", "other", "layers", "truncation", "noise", "label", "layer_truncation"]) {
    if (JSON.stringify(recipe[name]) !== JSON.stringify(last[name])) base[name] = recipe[name];
  }
  for (const name of new Set([...Object.keys(recipe.edits ?? {}), ...Object.keys(last.edits ?? {})])) {
    if (JSON.stringify(recipe.edits?.[name]) !== JSON.stringify(last.edits?.[name])) base.edits = { ...base.edits, [name]: recipe.edits?.[name] ?? { strength: 0 } };
  }
  running.last = recipe;
});

// Plays until `stop` is called. settings: {routes, way, seconds} read anew each frame; onFrame: called with the place on
// the way, and how often it was gone round.
export function play(settings, onFrame) {
  stop();
  const playing = { base: { ...state.recipe }, last: state.recipe };
  if (settings().way?.(0).w) for (const name of IN_W) delete playing.base[name];
  running = playing;
  let [before, at, turns] = [performance.now(), 0, 0];
  const frame = (now) => {
    if (running !== playing) return;
    const { routes, way, seconds } = settings();
    if (microphone) listen();
    const speed = routes.filter(({ target }) => target === "speed").reduce((sum, { source, amount }) => sum + amount * value(source), 0);
    if (way) at += (Math.max(0, now - before) / 1000 / seconds) * Math.max(0, 1 + speed); // a frame's time may lie before the start
    turns += Math.floor(at);
    at %= 1;
    before = now;
    const recipe = played(playing.base, routes, way, at);
    if (JSON.stringify(recipe) !== JSON.stringify(playing.last)) {
      playing.last = recipe;
      ours = true;
      change(recipe); // the stage skips what it cannot keep up with
      ours = false;
    }
    onFrame(at, turns);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

export function stop() {
  running = null;
}

export const isPlaying = () => running != null;

// --- recording ----------------------------------------------------------------------------------------------------------

// Records the stage; resolves with a WebM when the returned `stop` is called.
export function record(canvas, fps = 30) {
  const recorder = new MediaRecorder(canvas.captureStream(fps), { mimeType: "video/webm", videoBitsPerSecond: 8_000_000 });
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const done = new Promise((resolve) => (recorder.onstop = () => resolve(new Blob(parts, { type: "video/webm" }))));
  recorder.start();
  return { stop: () => (recorder.stop(), done) };
}
