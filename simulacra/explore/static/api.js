// Requests to the server, in the page's language, relative to its address. A refusal is an Error with the server's sentence.
import { PageError, language } from "./messages.js";
import { state } from "./state.js";

export async function ask(path, { headers = {}, ...options } = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { "accept-language": language(), ...headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new PageError("page.unreachable"); // the browser's own sentence would be in its own language
  }
  if (response.ok) return response;
  const { status } = response;
  const { error } = await response.json().catch(() => ({})); // an answer from something else has no sentence
  throw Object.assign(error ? new Error(error) : new PageError("page.http_error", { status }), { status });
}

const DATA = "data: ";
const search = (query) => {
  const words = new URLSearchParams(Object.entries(query).filter(([, value]) => value != null));
  return words.size ? `?${words}` : "";
};
const get = (path, query = {}) => ask(`${path}${search(query)}`);
export const send = (method, path, content, options = {}) => ask(path, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(content), ...options });
const post = (path, content) => send("POST", path, content);
const upload = (path, file, query = {}, options = {}) => ask(`${path}${search(query)}`, { method: "POST", body: file, ...options });

export const json = async (response) => (await response).json();
const withCheckpoint = (content) => (state.checkpoint ? { checkpoint: state.checkpoint, ...content } : content);

// Whether this page belongs to the studio, whose library is at `/`.
export const inStudio = () => location.pathname.startsWith("/model/");

export const model = () => json(get("api/model", withCheckpoint({})));
export const first = () => json(get("api/first"));
export const gallery = () => json(get("api/gallery", withCheckpoint({})));
export const changeStars = (changes) => json(send("PATCH", "api/gallery", withCheckpoint(changes), { keepalive: true })); // the page may be left
export const addHistory = (recipes) => json(send("PATCH", "api/gallery", { history: recipes })); // of the opened model
export const zipAddress = (side) => `api/gallery/zip${search(withCheckpoint({ side }))}`;
export const contactSheetAddress = () => `api/gallery/sheet${search(withCheckpoint({}))}`;
export const directions = () => json(get("api/directions", withCheckpoint({})));
export const rename = (name, to) => json(post("api/directions/rename", withCheckpoint({ name, to })));
export const saveDirection = (name, edits) => json(post("api/directions/save", withCheckpoint({ name, edits })));
export const labels = () => json(get("api/directions/labels", withCheckpoint({})));
export const startLabels = () => json(post("api/jobs/labels", withCheckpoint({})));
export const numbers = (recipe) => json(post("api/numbers", withCheckpoint({ recipe })));
export const children = (a, b, count, seed) => json(post("api/children", withCheckpoint({ a, b, count, seed })));
export const run = () => json(get("api/run"));
export const open = (file) => json(upload("api/open", file));
export const picture = async (content) => (await post("api/picture", withCheckpoint(content))).blob();
export const startWalk = (content) => json(post("api/jobs/walk", withCheckpoint(content)));
export const film = async (job) => (await get(`api/jobs/${job}/film`)).blob();
export const startDirections = () => json(post("api/jobs/directions", withCheckpoint({})));
export const pace = () => json(get("api/photo/pace", withCheckpoint({})));
export const startPhoto = (file, steps) => json(upload("api/jobs/photo", file, withCheckpoint({ steps })));
export const examples = () => json(get("api/examples"));
export const example = async (side, number) => (await get(`api/examples/${side}/${number}`)).blob();
export const translation = async (file, query, signal) => (await upload("api/translate", file, withCheckpoint(query), { signal })).blob();
export const cancel = (job) => ask(`api/jobs/${job}`, { method: "DELETE" });

// The server-sent events of an address. Unlike an EventSource, a fetch says in which language to answer.
async function* events(path) {
  const response = await get(path);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read().catch(() => ({ done: true }));
    if (done) throw new PageError("page.unreachable");
    const parts = (text + value).split("\n\n");
    text = parts.pop();
    for (const part of parts) if (part.startsWith(DATA)) yield JSON.parse(part.slice(DATA.length));
  }
}

// Follows a job: calls `onNews` while it runs, and resolves with its last event.
export async function follow(job, onNews) {
  for await (const news of events(`api/jobs/${job}/events`)) {
    if (news.state === "failed") throw new Error(news.error);
    if (news.state !== "running") return news;
    onNews(news);
  }
}

export const osc = () => json(get("api/osc"));
export const oscEvents = () => events("api/osc/events"); // {address: value}
export const sendOsc = (values) => post("api/osc", { values });

// Many small pictures in one request: a bitmap with `columns` in a row, each of `width` by `height`.
export async function sheet(recipes, longest = 96) {
  const [, tall, wide] = state.facts.shape;
  const side = Math.min(longest, 2048);
  const scale = side / Math.max(tall, wide);
  const columns = Math.ceil(Math.sqrt(recipes.length));
  const bitmap = await createImageBitmap(await picture({ recipes, columns, side, format: "auto" }));
  return { bitmap, columns, width: Math.round(wide * scale), height: Math.round(tall * scale) };
}
