// The model in this file, drawn without a server.
import * as runner from "./runner.js";
import { source } from "./worker-source.js";

// The contents of a block of the page by its id: gzip in base64. The block is removed, to give its memory back.
export async function block(id) {
  const node = document.getElementById(id);
  if (!node) return null;
  const text = atob(node.textContent);
  node.remove();
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

const floats = async (id) => new Float32Array((await block(id)) ?? 0);

const node = document.getElementById("exhibit");
export const exhibit = JSON.parse(node.textContent); // {facts, first, directions, source, certificate, …}
node.remove();

export const average = await floats("average"); // w_avg, or the most typical z: what truncation goes to
export const vectors = await floats("vectors"); // of the directions, one after the other
export const bank = await floats("bank"); // training labels that a seed picks from

// The functions of `runner.js` in a worker, so that the page stays at hand while pictures are drawn.
async function startWorker() {
  const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const waiting = new Map(); // id -> {resolve, reject}
  const answer = (id) => new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
  worker.onmessage = ({ data: { id, result, error } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(new Error(error));
    else resolve(result);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    for (const { reject } of waiting.values()) reject(new Error(event.message));
  };
  await answer(0);
  let last = 0;
  const call = (name) => (...words) => {
    worker.postMessage({ id: ++last, call: name, words });
    return answer(last);
  };
  return { load: call("load"), run: call("run") };
}

async function open() {
  const names = ["wasm", "synthesis", "mapping"];
  const loading = Promise.all(names.map(block)).then((files) => Object.fromEntries(names.map((name, i) => [name, files[i]])));
  try {
    const worker = await startWorker();
    await worker.load(await loading);
    return worker;
  } catch {
    await runner.load(await loading); // a browser may refuse workers to a file; what else is wrong shows here again
    return runner;
  }
}

const opened = open();
let queue = Promise.resolve(); // one batch at a time

// The output of a graph for inputs {name: rows of numbers}. dims: of each input beside the batch.
async function run(name, inputs, dims) {
  const feeds = Object.fromEntries(Object.entries(inputs).map(([input, rows]) => {
    const data = new Float32Array(rows.length * rows[0].length);
    rows.forEach((row, i) => data.set(row, i * row.length));
    return [input, { data, dims: [rows.length, ...(dims ?? [rows[0].length])] }];
  }));
  const turn = queue.then(async () => (await opened).run(name, feeds));
  queue = turn.catch(() => null); // the caller gets the error
  return turn;
}

// z and the label y (or null) -> w, for one picture.
export async function mapping(z, y) {
  if (exhibit.facts.mapping) return Array.from(await run("mapping", y ? { z: [z], y: [y] } : { z: [z] }));
  return [...z, ...(y ?? [])];
}

// w of several pictures, each a list of rows -> ImageData of each.
export async function synthesis(ws) {
  const { shape, num_ws: layers } = exhibit.facts;
  const rows = ws.map((w) => (layers && w.length === 1 ? Array(layers).fill(w[0]) : w).flat());
  const data = await run("synthesis", { w: rows }, layers ? [layers, rows[0].length / layers] : null);
  const [channels, height, width] = shape;
  return ws.map((_, n) => {
    const image = new ImageData(width, height);
    const plane = height * width;
    for (let i = 0; i < plane; i++) {
      for (let c = 0; c < 4; c++) {
        const channel = channels === 1 ? 0 : c;
        const value = c < 3 || channels === 4 ? data[(n * channels + channel) * plane + i] * 127.5 + 127.5 : 255;
        image.data[4 * i + c] = value; // rounded and clamped by the array
      }
    }
    return image;
  });
}
