// Requests to the studio's API, in the page's language. A refusal is an Error with the server's sentence.
import { ask, json, send } from "/static/api.js";

const BASE = "/api/studio";

export const address = (path, query = {}) => `${BASE}${path}?${new URLSearchParams(query)}`;
const get = (path, query) => json(ask(address(path, query)));
const post = (path, content) => json(send("POST", `${BASE}${path}`, content));

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
export const order = (run, pace, steps = 0) => post("/pace", { run, pace, steps });
export const pace = (path) => get("/pace", { path });
export const compare = (a, b) => post("/compare", { a, b });
export const rename = (path, name) => post("/rename", { path, name });
export const throwAway = (path) => post("/throw-away", { path });
export const restore = (path) => post("/restore", { path });
export const faces = async (model, seeds, side, columns) =>
  (await send("POST", `/model/${model}/api/picture`, { recipes: seeds.map((seed) => ({ seed })), columns, side, format: "auto" })).blob();

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
