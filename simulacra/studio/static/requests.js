// Requests to the studio's API, in the page's language. A refusal is an Error with the server's sentence.
import { language, t } from "/static/messages.js";

const BASE = "/api/studio";

async function ask(path, { headers = {}, ...options } = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { "accept-language": language(), ...headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(t("page.unreachable")); // the browser's own sentence would be in its own language
  }
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({})); // an answer from something else has no sentence
  throw Object.assign(new Error(error ?? t("page.http_error", { status: response.status })), { status: response.status });
}

export const address = (path, query = {}) => `${BASE}${path}?${new URLSearchParams(query)}`;
const json = async (response) => (await response).json();
const get = (path, query) => json(ask(address(path, query)));
const send = (path, content) => ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(content) });
const post = (path, content) => json(send(`${BASE}${path}`, content));

export const library = () => get("");
export const run = (path) => get("/run", { path });
export const process = (id) => get(`/processes/${id}`);
export const stop = (id) => ask(`${BASE}/processes/${id}`, { method: "DELETE" });
export const newPictures = (name) => post("/pictures", { name });
export const upload = (into, path, file) => json(ask(address("/upload", { into, path }), { method: "POST", body: file }));
export const uploadMany = (into, tar) => json(ask(address("/upload", { into }), { method: "POST", body: tar }));
export const inspect = (source) => post("/inspect", { source });
export const prepare = (content) => post("/prepare", content);
export const forecast = (data) => post("/forecast", { data });
export const train = (content) => post("/train", content);
export const score = (path) => post("/score", { run: path });
export const upscale = (path) => post("/upscale", { run: path });
export const fork = (content) => post("/fork", content);
export const rename = (path, name) => post("/rename", { path, name });
export const throwAway = (path) => post("/throw-away", { path });
export const restore = (path) => post("/restore", { path });
export const faces = async (model, seeds, side, columns) =>
  (await send(`/model/${model}/api/picture`, { recipes: seeds.map((seed) => ({ seed })), columns, side, format: "auto" })).blob();

export const modelAddress = (path) => `/model/${path.split("/").map(encodeURIComponent).join("/")}/`;

// Follows a process: calls `onNews` at each look, and resolves with it once it has ended. isOpen: false stops looking.
export async function follow(id, onNews, isOpen = () => true) {
  for (;;) {
    const news = await process(id);
    if (!isOpen()) return null;
    onNews(news);
    if (news.state !== "running") return news;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
