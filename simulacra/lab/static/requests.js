// Requests to the lab's API, in the page's language. A refusal is an Error with the server's sentence.
import { ask, json, send } from "/static/api.js";

const BASE = "/api/lab";
const post = (path, content) => json(send("POST", `${BASE}${path}`, content));

export const choices = () => json(ask(BASE));
export const open = (content) => post("/experiments", content);
export const describe = (id) => json(ask(`${BASE}/experiments/${id}`));
export const advance = (id, content) => post(`/experiments/${id}`, content);
export const distances = () => json(ask(`${BASE}/distances`));
export const descents = (gap) => json(ask(`${BASE}/distances/descents?gap=${gap}`));

// Arrays come as their bytes in base64.
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
export const floats = (text) => new Float32Array(bytes(text).buffer);
export const levels = bytes;
