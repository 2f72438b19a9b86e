// What the page asks of the server. A refusal is an Error with the server's sentence, in the page's language.
import { state } from "./state.js";
import { chinese, t } from "./words.js";

let sentences = null; // in Chinese, once they are needed

// Before any sentence of the server's is shown. Whether this made a difference.
export async function prepare() {
  if (!chinese() || sentences) return false;
  sentences = await import("./sentences.js");
  return true;
}

// A sentence of the server's in the page's language.
export const said = (sentence) => (chinese() && sentences ? sentences.inChinese(sentence) : sentence);

// What went wrong, in the language of whenever it is read.
class Refusal extends Error {
  constructor(words, status) {
    super();
    Object.assign(this, { words, status });
  }

  get message() {
    return this.words();
  }
}

async function refusal(sentence, status) {
  await prepare();
  return new Refusal(() => said(sentence), status);
}

async function ask(path, request = {}) {
  let response;
  try {
    response = await fetch(path, request);
  } catch {
    throw new Refusal(() => t("unreachable")); // the browser's own words are in no language of ours
  }
  if (response.ok) return response;
  const { status } = response;
  const { error } = await response.json().catch(() => ({})); // an answer that is not ours has no sentence
  throw error ? await refusal(error, status) : new Refusal(() => t("refused", status), status);
}

const get = (path, query = {}) => {
  const words = new URLSearchParams(Object.entries(query).filter(([, value]) => value != null));
  return ask(`${path}${words.size ? `?${words}` : ""}`);
};

const post = (path, body) => ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

const json = async (response) => (await response).json();
const here = (told) => (state.checkpoint ? { checkpoint: state.checkpoint, ...told } : told);

export const model = () => json(get("/api/model", { checkpoint: state.checkpoint }));
export const directions = () => json(get("/api/directions", { checkpoint: state.checkpoint }));
export const rename = (name, to) => json(post("/api/directions/rename", here({ name, to })));
export const saveDirection = (name, edits) => json(post("/api/directions/save", here({ name, edits })));
export const labels = () => json(get("/api/directions/labels", { checkpoint: state.checkpoint }));
export const startLabels = () => json(post("/api/jobs/labels", here({})));
export const numbers = (recipe) => json(post("/api/numbers", here({ recipe })));
export const children = (one, other, count, seed) => json(post("/api/children", here({ one, other, count, seed })));
export const run = () => json(get("/api/run"));
export const opened = async (file) => json(ask("/api/open", { method: "POST", body: file }));
export const picture = async (told) => (await post("/api/picture", here(told))).blob();
export const startWalk = (told) => json(post("/api/jobs/walk", here(told)));
export const startDirections = () => json(post("/api/jobs/directions", here({})));
export const examples = () => json(get("/api/examples"));
export const example = async (side, number) => (await get(`/api/examples/${side}/${number}`)).blob();
export const cancel = (job) => fetch(`/api/jobs/${job}`, { method: "DELETE" });

export async function startPhoto(file, steps) {
  const query = new URLSearchParams(here({ steps }));
  return json(ask(`/api/jobs/photo?${query}`, { method: "POST", body: file }));
}

export async function translated(file, told, signal) {
  const query = new URLSearchParams(Object.entries(here(told)).filter(([, value]) => value != null));
  return (await ask(`/api/translate?${query}`, { method: "POST", body: file, signal })).blob();
}

// Calls `told` with each piece of news of a job; resolves with the last one.
export function follow(job, told) {
  return new Promise((resolve, reject) => {
    const source = new EventSource(`/api/jobs/${job}/events`);
    source.onmessage = (event) => {
      const news = JSON.parse(event.data);
      if (news.state === "running") return told(news);
      source.close();
      if (news.state === "failed") return refusal(news.error).then(reject);
      return resolve(news);
    };
    source.onerror = () => {
      source.close();
      reject(new Refusal(() => t("unreachable")));
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
