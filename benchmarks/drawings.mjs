// Draws avatars in four styles as class folders of mixed sizes: a data set of drawings of several kinds.
//
//     npm install @dicebear/core@9 @dicebear/notionists@9 @dicebear/pixel-art@9 @dicebear/thumbs@9 @dicebear/croodles@9 @resvg/resvg-js
//     node benchmarks/drawings.mjs drawings 250
//     simulacra prepare drawings drawings64 --size 64
//
// Notionists, pixel-art and thumbs are CC0 1.0; croodles (by vijay verma) is CC BY 4.0. DiceBear is MIT.

import { createAvatar } from "@dicebear/core";
import * as croodles from "@dicebear/croodles";
import * as notionists from "@dicebear/notionists";
import * as pixelArt from "@dicebear/pixel-art";
import * as thumbs from "@dicebear/thumbs";
import { Resvg } from "@resvg/resvg-js";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const STYLES = { croodles, notionists, "pixel-art": pixelArt, thumbs };
const BACKGROUNDS = ["b6e3f4", "c0aede", "d1d4f9", "ffd5dc", "ffdfbf", "ffffff"];
const SIDES = [96, 128, 160, 200, 256];

const [folder, count] = [process.argv[2] ?? "drawings", Number(process.argv[3] ?? 250)];
for (const [name, style] of Object.entries(STYLES)) {
  mkdirSync(join(folder, name), { recursive: true });
  for (let i = 0; i < count; i++) {
    const svg = createAvatar(style, { seed: `${name}-${i}`, backgroundColor: [BACKGROUNDS[(7 * i) % BACKGROUNDS.length]] }).toString();
    const png = new Resvg(svg, { fitTo: { mode: "width", value: SIDES[(3 * i) % SIDES.length] } }).render().asPng();
    writeFileSync(join(folder, name, `${String(i).padStart(4, "0")}.png`), png);
  }
}
