// The random numbers of torch and NumPy, so that a seed means the same picture here and in Python.
import { PageError } from "./messages.js";

const TAU = 2 * Math.PI;
const BLOCK = 16; // normal numbers that torch makes at once

// The Mersenne Twister MT19937, seeded as `torch.Generator().manual_seed(seed)` with the lower 32 bits of the seed.
class Twister {
  constructor(seed) {
    const state = new Uint32Array(624);
    state[0] = seed;
    for (let i = 1; i < 624; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
    Object.assign(this, { state, at: 624 });
  }

  refill() {
    const { state } = this;
    for (let i = 0; i < 624; i++) {
      const bits = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
      state[i] = state[(i + 397) % 624] ^ (bits >>> 1) ^ (bits & 1 ? 0x9908b0df : 0);
    }
    this.at = 0;
  }

  // 32 random bits.
  bits() {
    if (this.at === 624) this.refill();
    let y = this.state[this.at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  // A float32 in [0, 1).
  single() {
    return (this.bits() & 0xffffff) / 2 ** 24;
  }

  // A float64 in [0, 1).
  double() {
    const high = this.bits() & 0x1fffff;
    return (high * 2 ** 32 + this.bits()) / 2 ** 53;
  }
}

// `torch.rand(n)` of a seed.
export function uniform(seed, n) {
  const twister = new Twister(seed.low);
  return Float32Array.from({ length: n }, () => twister.single());
}

// `torch.randn(n)` of a seed: Box-Muller, in blocks of 16; the last block overlaps the one before it where n is no multiple.
export function normal(seed, n) {
  const twister = new Twister(seed.low);
  if (n < BLOCK) return few(twister, n);
  const numbers = Float32Array.from({ length: n }, () => twister.single());
  const transform = (first) => {
    for (let i = first; i < first + BLOCK / 2; i++) {
      const radius = Math.sqrt(-2 * Math.log(1 - numbers[i]));
      const angle = TAU * numbers[i + BLOCK / 2];
      [numbers[i], numbers[i + BLOCK / 2]] = [radius * Math.cos(angle), radius * Math.sin(angle)];
    }
  };
  for (let first = 0; first + BLOCK <= n; first += BLOCK) transform(first);
  if (n % BLOCK) {
    for (let i = n - BLOCK; i < n; i++) numbers[i] = twister.single();
    transform(n - BLOCK);
  }
  return numbers;
}

// Fewer than 16 come in pairs, in float64.
function few(twister, n) {
  const numbers = [];
  while (numbers.length < n) {
    const [angle, share] = [TAU * twister.double(), twister.double()];
    const radius = Math.sqrt(-2 * Math.log1p(-share));
    numbers.push(radius * Math.cos(angle), radius * Math.sin(angle));
  }
  return Float32Array.from(numbers.slice(0, n));
}

// A seed as its lower and upper 32 bits. A word is a seed, too: the first 63 bits of its SHA-256.
export async function seedOf(value) {
  if (typeof value === "number") return { low: value >>> 0, high: Math.floor(value / 2 ** 32) };
  if (!crypto.subtle) throw new PageError("exhibit.no_words"); // the browser has it on files and https alone
  const digest = new DataView(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(value.trim().normalize("NFC"))));
  const [high, low] = [digest.getUint32(0), digest.getUint32(4)];
  return { low: ((high << 31) | (low >>> 1)) >>> 0, high: high >>> 1 };
}

// --- NumPy: `default_rng([seed, stream]).integers(2 ** bits)` ------------------------------------------------------

const MASK = (1n << 128n) - 1n;
const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;

// Eight words of 32 bits from `SeedSequence(entropy)`.
function seedSequence(entropy) {
  let constant = 0x43b0d7e5;
  const hash = (value) => {
    const mixed = value ^ constant;
    constant = Math.imul(constant, 0x931e8875);
    const product = Math.imul(mixed, constant);
    return product ^ (product >>> 16);
  };
  const mix = (x, y) => {
    const sum = (Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y)) | 0;
    return sum ^ (sum >>> 16);
  };
  const pool = [0, 1, 2, 3].map((i) => hash(entropy[i] ?? 0));
  for (let source = 0; source < 4; source++) for (let i = 0; i < 4; i++) if (i !== source) pool[i] = mix(pool[i], hash(pool[source]));
  constant = 0x8b51f9dd;
  return Array.from({ length: 8 }, (_, i) => {
    const mixed = pool[i % 4] ^ constant;
    constant = Math.imul(constant, 0x58f38ded);
    const product = Math.imul(mixed, constant);
    return BigInt((product ^ (product >>> 16)) >>> 0);
  });
}

export function integer({ low, high }, stream, bits) {
  const words = seedSequence(high ? [low, high, stream] : [low, stream]);
  const pair = (i) => (((words[i + 1] << 32n) | words[i]) << 64n) | (words[i + 3] << 32n) | words[i + 2];
  const increment = ((pair(4) << 1n) | 1n) & MASK;
  const step = (state) => (state * MULTIPLIER + increment) & MASK;
  const state = step(step(increment + pair(0))); // PCG64: seeded, then one step
  const folded = ((state >> 64n) ^ state) & 0xffffffffffffffffn;
  const turn = state >> 122n;
  const output = ((folded >> turn) | (folded << (64n - turn))) & 0xffffffffn;
  return Number(output) >>> (32 - bits);
}
