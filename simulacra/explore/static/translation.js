// Pictures that are translated: the current one, the ones given so far, and what the server makes of them.
import * as api from "./api.js";
import { PageError, t } from "./messages.js";
import { latest, toast } from "./parts.js";
import { emit, on, state } from "./state.js";

const CLIENT = crypto.randomUUID(); // this page's name for the server
const MAX_BYTES = 32 << 20; // the server's limit
const MAX_BATCH = 40; // pictures accepted at once
const MAX_STRIP = 60;

let nextId = 1;

export const current = {
  to: "b", keepSize: false, cycle: false,
  item: null, // {id, name, file, example, key, input, output, back, ms}; the last three pictures are {blob, bitmap}
  strip: [], // items that a person gave, newest first
  text: () => "", failed: false,
  batch: null, // {items, at, stop}: several items, translated one after another
};

export const opposite = (side) => (side === "a" ? "b" : "a");
export const domainName = (side) => state.facts.domains[side === "b" ? 1 : 0];
export const emitChange = () => emit("translated");

const newItem = (file, name, more = {}) => ({ id: nextId++, file, name, to: current.to, keepSize: current.keepSize, key: "", ...more });
const keyOf = ({ to, keepSize }) => `${to} ${keepSize} ${state.checkpoint ?? ""}`;
const queryOf = ({ to, keepSize, name }) => ({ to, keep_size: keepSize ? 1 : 0, name });
const stem = (name) => name.replace(/\.\w{1,5}$/, "");

async function fetchPicture(file, query, signal) {
  const blob = await api.translation(file, query, signal);
  return { blob, bitmap: await createImageBitmap(blob) };
}

// Reads a byte, which fails for a folder; the request alone could not tell a folder from a server that is gone.
async function checkFile({ file, name }) {
  if (file.size > MAX_BYTES) throw new PageError("page.file_too_large", { limit: MAX_BYTES >> 20 });
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new PageError("page.not_a_file", { name });
  }
}

// Translates an item, unless its translation is up to date. onInput: called when the input can be shown.
async function translate(item, { client, signal, onInput = () => {} } = {}) {
  if (item.key !== keyOf(item)) {
    const key = keyOf(item);
    const start = performance.now();
    await checkFile(item);
    const input = await fetchPicture(item.file, { ...queryOf(item), show: "input" }, signal);
    if (item.input?.bitmap.width !== input.bitmap.width || !item.output) Object.assign(item, { input, output: null });
    onInput();
    const output = await fetchPicture(item.file, { ...queryOf(item), client }, signal);
    Object.assign(item, { input, output, back: null, key, ms: Math.round(performance.now() - start) });
  }
  if (current.cycle && !item.back && item === current.item) {
    onInput();
    item.back = await fetchPicture(item.file, { ...queryOf(item), show: "cycle", client }, signal);
  }
}

const draw = latest(async (item) => {
  Object.assign(current, { item, text: () => t("page.translating"), failed: false });
  emitChange();
  try {
    await translate(item, { client: CLIENT, onInput: emitChange });
    current.text = () => "";
    item.error = null;
  } catch (error) {
    if (error.status !== 429) Object.assign(current, { text: () => error.message, failed: true });
    item.error = () => error.message;
  }
  emitChange();
}, (busy) => document.getElementById("stage").setAttribute("aria-busy", String(busy)));

export function show(item, { to = current.to, keepSize = current.keepSize } = {}) {
  Object.assign(current, { to, keepSize });
  Object.assign(item, { to, keepSize });
  return draw(item);
}

function remember(items) {
  current.strip = [...items, ...current.strip].slice(0, MAX_STRIP);
}

// Adds dropped, chosen or pasted files: the first is shown, the others are translated after it.
export async function addFiles(files) {
  const accepted = Array.from(files).slice(0, MAX_BATCH);
  if (!accepted.length) return undefined;
  if (files.length > MAX_BATCH) toast(t("page.too_many", { count: MAX_BATCH }));
  const items = accepted.map((file) => newItem(file, file.name || t("page.pasted_name")));
  remember(items);
  if (current.batch && items.length > 1) return void current.batch.items.push(...items);
  await show(items[0]);
  return items.length > 1 ? translateBatch(items) : undefined;
}

async function translateBatch(items) {
  const abort = new AbortController();
  const batch = { items, at: 0, stop: () => abort.abort() };
  current.batch = batch;
  for (const item of items) {
    batch.at += 1;
    emitChange();
    try {
      if (!abort.signal.aborted) await translate(item, { signal: abort.signal });
    } catch (error) {
      if (!abort.signal.aborted) item.error = () => error.message;
    }
  }
  current.strip = current.strip.filter((item) => item.output || item.error || !items.includes(item)); // drops those not reached
  current.batch = null;
  emitChange();
}

export const showExample = async (side, number) => {
  try {
    const name = `${domainName(side)}-${number}.png`;
    await show(newItem(await api.example(side, number), name, { example: `${side}${number}` }), { to: opposite(side) });
  } catch (error) {
    toast(error.message);
  }
};

export function turn(to = opposite(current.to)) {
  current.to = to;
  emitChange();
  const { item } = current;
  if (item && !item.example) show(item);
  else if (item) showExample(opposite(to), Number(item.example.slice(1))); // an example belongs to its own domain
}

export function setKeepSize(keepSize) {
  current.keepSize = keepSize;
  if (current.item) show(current.item);
}

export function toggleCycle() {
  current.cycle = !current.cycle;
  emitChange();
  if (current.item) show(current.item);
}

// The picture on the right as {blob, name}, or null.
export function result() {
  const { item } = current;
  const picture = current.cycle ? item?.back : item?.output;
  return picture ? { blob: picture.blob, name: `${stem(item.name)}-${domainName(item.to)}${current.cycle ? "-back" : ""}.png` } : null;
}

// Makes the result the next picture, in the other direction.
export function useResult() {
  const { item } = current;
  if (!item?.output) return;
  const next = newItem(item.output.blob, `${stem(item.name)}-${domainName(item.to)}.png`);
  current.cycle = false;
  remember([next]);
  show(next, { to: opposite(item.to) });
}

export function clear() {
  current.batch?.stop();
  current.strip = [];
  emitChange();
}

// A key of the current picture and how it is translated, and its translation by a checkpoint.
export const currentKey = () => (current.item ? `${current.item.id} ${current.item.to} ${current.item.keepSize}` : "");
export const atCheckpoint = (checkpoint) => api.translation(current.item.file, { ...queryOf(current.item), checkpoint });

on("again", () => current.item && show(current.item));
