// What the page asks of the server. A refusal is an Error with the server's sentence.
import { state } from "./state.js";

async function answer(response) {
  if (response.ok) return response;
  let sentence = `${response.status}`;
  try {
    sentence = (await response.json()).error;
  } catch {
    // an answer that is not ours has no sentence: its number must do
  }
  throw Object.assign(new Error(sentence), { status: response.status });
}

const get = async (path, query = {}) => {
  const words = new URLSearchParams(Object.entries(query).filter(([, value]) => value != null));
  return answer(await fetch(`${path}${words.size ? `?${words}` : ""}`));
};

const post = async (path, body) =>
  answer(await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }));

const json = async (response) => (await response).json();
const here = (told) => (state.checkpoint ? { ...told, checkpoint: state.checkpoint } : told);

export const model = () => json(get("/api/model", { checkpoint: state.checkpoint }));
export const directions = () => json(get("/api/directions", { checkpoint: state.checkpoint }));
export const rename = (name, to) => json(post("/api/directions/rename", here({ name, to })));
export const numbers = (recipe) => json(post("/api/numbers", here({ recipe })));
export const children = (one, other, count, seed) => json(post("/api/children", here({ one, other, count, seed })));
export const run = () => json(get("/api/run"));
export const opened = async (file) => json(answer(await fetch("/api/open", { method: "POST", body: file })));
export const picture = async (told) => (await post("/api/picture", here(told))).blob();
export const startWalk = (told) => json(post("/api/jobs/walk", here(told)));
export const startDirections = () => json(post("/api/jobs/directions", here({})));
export const cancel = (job) => fetch(`/api/jobs/${job}`, { method: "DELETE" });

export async function startPhoto(file, steps) {
  const query = new URLSearchParams(here({ steps }));
  return json(answer(await fetch(`/api/jobs/photo?${query}`, { method: "POST", body: file })));
}

// Calls `told` with each piece of news of a job; resolves with the last one.
export function follow(job, told) {
  return new Promise((resolve, reject) => {
    const source = new EventSource(`/api/jobs/${job}/events`);
    source.onmessage = (event) => {
      const news = JSON.parse(event.data);
      if (news.state === "running") return told(news);
      source.close();
      if (news.state === "failed") reject(new Error(news.error));
      else resolve(news);
    };
    source.onerror = () => {
      source.close();
      reject(new Error("…"));
    };
  });
}

// Many small pictures in one request: a bitmap with `columns` in a row, each of `width` by `height`.
export async function sheet(recipes, longest = 96) {
  const [, tall, wide] = state.facts.shape;
  const side = Math.min(longest, 2048);
  const scale = side / Math.max(tall, wide);
  const columns = Math.ceil(Math.sqrt(recipes.length));
  const blob = await picture({ recipes, columns, side, format: "auto" });
  const bitmap = await createImageBitmap(blob);
  return { bitmap, columns, width: Math.round(wide * scale), height: Math.round(tall * scale) };
}
