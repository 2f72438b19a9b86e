// Draws the people of the built-in data set and writes build/sheet.ppm and build/peeps.csv; pack.py does the rest.
// `node render.mjs 128` draws the same people larger.
//
// Each attribute is drawn here and handed to DiceBear as its only choice, so the table is exact by construction.
// The quotas are filled to within one picture and each column is shuffled on its own: even and independent.

import { createAvatar } from "@dicebear/core";
import * as openPeeps from "@dicebear/open-peeps";
import { Resvg } from "@resvg/resvg-js";
import { mkdirSync, writeFileSync } from "node:fs";

const COUNT = 3000;
const SEED = 20;
const SIZE = Number(process.argv[2] ?? 64);
const COLUMNS = 60; // tiles in a row of the sheet
const OVERSAMPLING = 256 / SIZE; // drawn at 256 px, then each 4 x 4 block is averaged
const CROP = [58, 40, 646, 646]; // of the 704 x 704 drawing: head and shoulders, the same for all

// our word -> DiceBear's. Left out: hats, and hair that leaves the frame or hides an eye or the clothes.
const HAIR = {
  bald: "noHair1",
  mohawk: "mohawk",
  shaved: "short1",
  "flat top": "flatTop",
  "side part": "grayShort",
  tousled: "short5",
  quiff: "short4",
  pompadour: "pomp",
  twists: "twists2",
  afro: "afro",
  locs: "dreads1",
  bun: "grayBun",
  "low bun": "grayMedium",
  ponytail: "cornrows",
  "short bob": "medium1",
  bob: "bangs2",
  fringe: "bangs",
  waves: "mediumBangs",
  straight: "medium3",
  flip: "medium2",
};
const FACE = {
  smile: "smile",
  content: "calm",
  grin: "smileBig",
  awe: "awe",
  talking: "explaining",
  serious: "serious",
  sad: "solemn",
  angry: "veryAngry",
};
const BEARD = { chin: "chin", full: "full", long: "full3", goatee: "goatee2", moustache: "moustache6" };
const GLASSES = { aviator: "glasses", round: "glasses5", white: "glasses4", sunglasses: "sunglasses" };
const HAIR_COLOR = { black: "26202a", brown: "7a4a30", blond: "e6bd5c", red: "cc4a1c", gray: "b9b6b8" };
const SKIN = { pale: "ffdbb4", light: "edb98a", tan: "d08b5b", brown: "a55f34", dark: "755443" };
const CLOTHES = { red: "dd5f58", yellow: "f3c64f", green: "5fb073", blue: "5a84d6", purple: "a071c9", white: "f6f4ee" };
const BACKGROUND = { sky: "cfe4f5", mint: "d2ecd8", sand: "f4e7cd", rose: "f7d5d6", lilac: "dcd5f0" };

// A small seeded generator (mulberry32): the same pictures on every machine.
function generator(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function shuffled(values, random) {
  const out = [...values];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

// COUNT values: a share of them from the options in turn, the rest "none"; then shuffled.
function column(options, random, share = 1) {
  const filled = Math.round(COUNT * share);
  const names = shuffled(Object.keys(options), random); // so that a remainder favours no one
  return shuffled(
    Array.from({ length: COUNT }, (_, i) => (i < filled ? names[i % names.length] : "none")),
    random,
  );
}

function people() {
  const random = generator(SEED);
  const columns = {
    hair: column(HAIR, random),
    hair_color: column(HAIR_COLOR, random),
    face: column(FACE, random),
    beard: column(BEARD, random, 0.35),
    glasses: column(GLASSES, random, 0.35),
    skin: column(SKIN, random),
    clothes: column(CLOTHES, random),
    background: column(BACKGROUND, random),
  };
  const table = Array.from({ length: COUNT }, (_, i) => {
    const person = Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[i]]));
    if (person.hair === "bald" && person.beard === "none") person.hair_color = "none"; // nothing shows it
    return person;
  });
  partTwins(table, random);
  return table;
}

// Where two people are the same, the second swaps clothes with someone: all differ, and the quotas stand.
function partTwins(table, random) {
  const key = (person) => Object.values(person).join();
  for (let pass = 0; pass < 100; pass++) {
    const seen = new Set();
    const twins = table.filter((person) => seen.size === seen.add(key(person)).size);
    if (!twins.length) return;
    for (const person of twins) {
      const other = table[Math.floor(random() * COUNT)];
      [person.clothes, other.clothes] = [other.clothes, person.clothes];
    }
  }
  throw new Error("there are not enough combinations for everyone to differ");
}

// Open Peeps draws most hair in solid black, outline and all. Colour is laid over the black surfaces only: an
// erosion removes the lines (about 12 units wide), a smaller dilation grows back what is left, short of its rim.
const MASS = (color) => `<filter id="mass" filterUnits="userSpaceOnUse" x="0" y="0" width="704" height="704"
  color-interpolation-filters="sRGB"><feMorphology operator="erode" radius="10"/>
  <feMorphology operator="dilate" radius="4" result="mass"/><feFlood flood-color="#${color}"/>
  <feComposite operator="in" in2="mass"/></filter>`;

// The group (head or facial hair) followed by a coloured copy of its black surfaces.
function coloured(svg, transform) {
  const start = svg.indexOf(`<g transform="${transform}">`);
  const end = svg.indexOf('<g transform="', start + 1);
  if (start < 0 || end < 0) throw new Error(`no group ${transform} in the drawing`);
  const group = svg.slice(start, end);
  const black = group.replace(/<path[^>]*fill="#(?!000")[^"]*"[^>]*\/>/g, "");
  return `${svg.slice(0, end)}<g filter="url(#mass)">${black}</g>${svg.slice(end)}`;
}

function drawing(person) {
  const color = HAIR_COLOR[person.hair_color] ?? HAIR_COLOR.black;
  const avatar = createAvatar(openPeeps, {
    seed: "peeps",
    head: [HAIR[person.hair]],
    headContrastColor: [color],
    face: [FACE[person.face]],
    facialHair: [BEARD[person.beard] ?? "full"],
    facialHairProbability: person.beard === "none" ? 0 : 100,
    accessories: [GLASSES[person.glasses] ?? "glasses"],
    accessoriesProbability: person.glasses === "none" ? 0 : 100,
    maskProbability: 0,
    skinColor: [SKIN[person.skin]],
    clothingColor: [CLOTHES[person.clothes]],
    backgroundColor: [BACKGROUND[person.background]],
  });
  const { extra } = avatar.toJson();
  if (
    extra.head !== HAIR[person.hair] ||
    extra.face !== FACE[person.face] ||
    extra.facialHair !== BEARD[person.beard] ||
    extra.accessories !== GLASSES[person.glasses]
  )
    throw new Error(`DiceBear drew ${JSON.stringify(extra)} for ${JSON.stringify(person)}`);
  let svg = avatar.toString();
  svg = coloured(svg, "matrix(.99789 0 0 1 156 62)");
  svg = coloured(svg, "translate(279 400)");
  return svg
    .replace('viewBox="0 0 704 704"', `viewBox="${CROP.join(" ")}"`)
    .replace("<mask ", `${MASS(color)}<mask `);
}

// Pixels of one person, averaged down to SIZE, written into the sheet.
function paint(sheet, index, svg) {
  const width = SIZE * OVERSAMPLING;
  const { pixels } = new Resvg(svg, { fitTo: { mode: "width", value: width } }).render();
  const left = (index % COLUMNS) * SIZE;
  const top = Math.floor(index / COLUMNS) * SIZE;
  for (let y = 0; y < SIZE; y++)
    for (let x = 0; x < SIZE; x++)
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let dy = 0; dy < OVERSAMPLING; dy++)
          for (let dx = 0; dx < OVERSAMPLING; dx++)
            sum += pixels[((y * OVERSAMPLING + dy) * width + x * OVERSAMPLING + dx) * 4 + c];
        sheet[((top + y) * COLUMNS * SIZE + left + x) * 3 + c] = Math.round(sum / OVERSAMPLING ** 2);
      }
}

const table = people();
const rows = Math.ceil(COUNT / COLUMNS);
const sheet = Buffer.alloc(rows * SIZE * COLUMNS * SIZE * 3);
table.forEach((person, index) => paint(sheet, index, drawing(person)));

const header = Object.keys(table[0]).join(",");
const lines = table.map((person) => Object.values(person).join(","));
mkdirSync("build", { recursive: true });
writeFileSync("build/sheet.ppm", Buffer.concat([Buffer.from(`P6\n${COLUMNS * SIZE} ${rows * SIZE}\n255\n`), sheet]));
writeFileSync("build/peeps.csv", [header, ...lines].join("\n") + "\n");
console.log(`${COUNT} people in build/sheet.ppm and build/peeps.csv`);
