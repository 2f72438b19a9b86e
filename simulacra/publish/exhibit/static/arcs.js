// Interpolation between latents, so that every step is as likely as its ends; see `simulacra.interpolation`.
const TINY = 1e-7; // lengths and sines below count as 0
const EDGE = 1e-6; // distance kept from the bounds of a uniform prior, where its inverse is infinite
const ROOT = Math.sqrt(2 * Math.PI);

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const length = (a) => Math.sqrt(dot(a, a));
const blend = (a, p, b, q) => a.map((value, i) => p * value + q * b[i]);

export const lerp = (a, b, t) => blend(a, 1 - t, b, t);

// On the great circle, with lengths interpolated.
function slerp(a, b, t) {
  const [long, short] = [length(a), length(b)];
  if (long < TINY || short < TINY) return lerp(a, b, t);
  const [start, end] = [a.map((value) => value / long), b.map((value) => value / short)];
  const cosine = dot(start, end);
  let across = blend(end, 1, start, -cosine);
  const sine = length(across);
  if (sine < TINY) { // opposite: turn about the axis that both are least aligned with
    const least = start.reduce((best, value, i) => (Math.abs(value) < Math.abs(start[best]) ? i : best), 0);
    across = start.map((value, i) => (i === least ? 1 : 0) - start[least] * value);
  }
  const norm = Math.max(length(across), TINY);
  const angle = t * Math.atan2(sine, cosine);
  const size = long * (1 - t) + short * t;
  return blend(start, size * Math.cos(angle), across, (size * Math.sin(angle)) / norm);
}

// The distribution function of the normal: a series near 0, a continued fraction in the tails.
export function cumulative(x) {
  const density = Math.exp((-x * x) / 2) / ROOT;
  if (Math.abs(x) < 3) {
    let [term, sum] = [x, x];
    for (let k = 1; Math.abs(term) > 1e-17 * Math.abs(sum); k++) {
      term *= (x * x) / (2 * k + 1);
      sum += term;
    }
    return 0.5 + density * sum;
  }
  let fraction = 0;
  for (let k = 60; k > 0; k--) fraction = k / (Math.abs(x) + fraction);
  const tail = density / (Math.abs(x) + fraction);
  return x < 0 ? tail : 1 - tail;
}

// Its inverse, by bisection and then Newton's steps.
export function quantile(share) {
  let [low, high] = [-6, 6];
  for (let i = 0; i < 20; i++) {
    const middle = (low + high) / 2;
    if (cumulative(middle) < share) low = middle;
    else high = middle;
  }
  let x = (low + high) / 2;
  for (let i = 0; i < 3; i++) x -= ((cumulative(x) - share) * ROOT) / Math.exp((-x * x) / 2);
  return x;
}

// z of a normal or uniform prior.
export function interpolateZ(a, b, t, prior) {
  const [from, to] = [Array.from(a), Array.from(b)];
  if (prior !== "uniform") return slerp(from, to, t);
  const toNormal = (z) => z.map((value) => quantile(Math.min(1 - EDGE, Math.max(EDGE, value / 2 + 0.5))));
  return slerp(toNormal(from), toNormal(to), t).map((value) => 2 * cumulative(value) - 1);
}
