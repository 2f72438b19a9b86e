// Closed ways through latent space. A way maps a place, 0 to 1, to the start of a recipe; at 1 it is at 0 again.
import * as api from "./api.js";
import { state } from "./state.js";

const CYCLES = 3; // turns of the fastest numbers of z in a loop
const TINY = 1e-7; // a sine below counts as 0

const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

// At random, from a picture: z_i = a_i cos(2 pi k_i t) + b_i sin(2 pi k_i t), so that every point is as likely as a seed's.
export async function randomWay(recipe) {
  const { z } = recipe.z ? recipe : await api.numbers(recipe);
  const others = z.map(normal);
  const cycles = z.map(() => 1 + Math.floor(Math.random() * CYCLES));
  return (t) => ({ z: z.map((a, i) => a * Math.cos(2 * Math.PI * cycles[i] * t) + others[i] * Math.sin(2 * Math.PI * cycles[i] * t)) });
}

// Shares of a leg, 0 to 1: how the speed changes between two pictures.
const EASINGS = {
  linear: (t) => t,
  smooth: (t) => t * t * (3 - 2 * t), // slow at both
  pause: (t) => EASINGS.smooth(Math.max(0, Math.min(1, (t - 0.25) / 0.5))), // a quarter of the time at each
};

const lerp = (a, b, t) => a.map((value, i) => value * (1 - t) + b[i] * t);

// The great circle, with lengths interpolated, as in simulacra/interpolation.py; straight where there is none.
function slerp(a, b, t) {
  const length = (v) => Math.hypot(...v);
  const [from, to] = [length(a), length(b)];
  const cosine = a.reduce((sum, value, i) => sum + (value * b[i]) / (from * to || 1), 0);
  const angle = Math.acos(Math.max(-1, Math.min(1, cosine)));
  if (Math.sin(angle) < TINY) return lerp(a, b, t);
  const [p, q] = [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
  const scale = from * (1 - t) + to * t;
  return a.map((value, i) => scale * ((p * value) / from + (q * b[i]) / to));
}

// Through pictures and back to the first one. easing: of EASINGS.
export async function keyframeWay(recipes, easing) {
  const stops = await Promise.all(recipes.map(api.numbers));
  const count = Math.max(...stops.map(({ w }) => w.length));
  const rows = stops.map(({ w }) => (w.length === count ? w : Array.from({ length: count }, () => w[0])));
  const between = state.facts.num_ws ? lerp : slerp;
  return (t) => {
    const place = (t % 1) * stops.length;
    const at = Math.floor(place);
    const next = (at + 1) % stops.length;
    const share = EASINGS[easing](place - at);
    const { label } = stops[share < 0.5 ? at : next];
    return { w: rows[at].map((row, i) => between(row, rows[next][i], share)), ...(label ? { label } : {}) };
  };
}
