// Pictures that are translated: the one that is shown, those that were given so far, and what the server makes of them.
import * as api from "./api.js";
import { latest, say } from "./parts.js";
import { emit, on, state } from "./state.js";
import { t } from "./words.js";

const PAGE = crypto.randomUUID();
const LONGEST = 32 << 20; // bytes, as the server has it
const MOST = 40; // pictures taken at once
const KEPT = 60; // in the strip

const serial = { next: 1 };

export const now = {
  to: "b", keep: false, back: false,
  shown: null, // {id, name, file, example, key, given, made, returned, ms}: the pictures are {blob, bitmap}
  taken: [], // the same, newest first
  text: () => "", failed: false,
  batch: null, // {items, at, stop}: those that are done one after another
};

export const other = (side) => (side === "a" ? "b" : "a");
export const domain = (side) => state.facts.domains[side === "b" ? 1 : 0];
export const changed = () => emit("translated");

const item = (file, name, more = {}) => ({ id: serial.next++, file, name, to: now.to, keep: now.keep, key: "", ...more });
const key = ({ to, keep }) => `${to} ${keep} ${state.checkpoint ?? ""}`;
const query = ({ to, keep, name }) => ({ to, keep_size: keep ? 1 : 0, name });

async function picture(file, told, signal) {
  const blob = await api.translated(file, told, signal);
  return { blob, bitmap: await createImageBitmap(blob) };
}

// A file as bytes, so that a folder is told from a server that is gone.
async function readable(each) {
  if (each.file.size > LONGEST) throw new Error(t("tooLarge", LONGEST >> 20));
  try {
    await each.file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Error(t("notAFile", each.name));
  }
}

// Have it translated, unless it is as it should be. between: told when the picture itself can be shown.
async function work(each, { client, signal, between = () => {} } = {}) {
  if (each.key !== key(each)) {
    const wanted = key(each);
    const began = performance.now();
    await readable(each);
    const given = await picture(each.file, { ...query(each), show: "given" }, signal);
    if (each.given?.bitmap.width !== given.bitmap.width || !each.made) Object.assign(each, { given, made: null });
    between();
    const made = await picture(each.file, { ...query(each), client }, signal);
    Object.assign(each, { given, made, returned: null, key: wanted, ms: Math.round(performance.now() - began) });
  }
  if (now.back && !each.returned && each === now.shown) {
    between();
    each.returned = await picture(each.file, { ...query(each), show: "back", client }, signal);
  }
}

const draw = latest(async (each) => {
  now.shown = each;
  Object.assign(now, { text: () => t("translating"), failed: false });
  changed();
  try {
    await work(each, { client: PAGE, between: changed });
    now.text = () => "";
    each.error = null;
  } catch (error) {
    if (error.status !== 429) Object.assign(now, { text: () => error.message, failed: true });
    each.error = () => error.message;
  }
  changed();
}, (busy) => document.getElementById("stage").setAttribute("aria-busy", String(busy)));

export function show(each, { to = now.to, keep = now.keep } = {}) {
  Object.assign(now, { to, keep });
  Object.assign(each, { to, keep });
  return draw(each);
}

function remember(items) {
  now.taken = [...items, ...now.taken].slice(0, KEPT);
}

// Files that were dropped, chosen or pasted: one is shown, several are done one after another.
export async function take(files) {
  const all = Array.from(files).slice(0, MOST);
  if (!all.length) return undefined;
  if (files.length > MOST) say(t("tooMany", MOST));
  const items = all.map((file) => item(file, file.name || t("pasted")));
  remember(items);
  if (now.batch && items.length > 1) return void now.batch.items.push(...items);
  await show(items[0]);
  return items.length > 1 ? inTurn(items) : undefined;
}

async function inTurn(items) {
  const abort = new AbortController();
  const batch = { items, at: 0, stop: () => abort.abort() };
  now.batch = batch;
  for (const each of items) {
    batch.at += 1;
    changed();
    try {
      if (!abort.signal.aborted) await work(each, { signal: abort.signal });
    } catch (error) {
      if (!abort.signal.aborted) each.error = () => error.message;
    }
  }
  now.taken = now.taken.filter((each) => each.made || each.error || !items.includes(each)); // those not reached
  now.batch = null;
  changed();
}

export const example = async (side, number) => {
  try {
    const name = `${domain(side)}-${number}.png`;
    await show(item(await api.example(side, number), name, { example: `${side}${number}` }), { to: other(side) });
  } catch (error) {
    say(error.message);
  }
};

export function turn(to = other(now.to)) {
  now.to = to;
  changed();
  if (now.shown && !now.shown.example) show(now.shown);
  else if (now.shown) example(other(to), Number(now.shown.example.slice(1))); // an example is of its own domain
}

export function keep(value) {
  now.keep = value;
  if (now.shown) show(now.shown);
}

export function back(value = !now.back) {
  now.back = value;
  changed();
  if (now.shown) show(now.shown);
}

// The file that is on the right, and what it is called.
export function result() {
  const { shown } = now;
  const made = now.back ? shown?.returned : shown?.made;
  const name = shown && `${stem(shown.name)}-${domain(shown.to)}${now.back ? "-back" : ""}.png`;
  return made ? { blob: made.blob, name } : null;
}

const stem = (name) => name.replace(/\.\w{1,5}$/, "");

// Go on with the result, the other way.
export function swap() {
  const { shown } = now;
  if (!shown?.made) return;
  const next = item(shown.made.blob, `${stem(shown.name)}-${domain(shown.to)}.png`);
  now.back = false;
  remember([next]);
  show(next, { to: other(shown.to) });
}

export function clear() {
  now.batch?.stop();
  now.taken = [];
  changed();
}

// What is shown, by a name, and what a checkpoint makes of it.
export const shownKey = () => (now.shown ? `${now.shown.id} ${now.shown.to} ${now.shown.keep}` : "");
export const atCheckpoint = (checkpoint) => api.translated(now.shown.file, { ...query(now.shown), checkpoint });

on("again", () => now.shown && show(now.shown));
