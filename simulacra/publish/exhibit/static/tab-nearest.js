// The training pictures nearest to the one on the stage. Measure: root mean square difference at 16 x 16 px, of 255 levels.
import { formatNumber, t } from "./messages.js";
import { block, exhibit } from "./model.js";
import { byId, el, toast } from "./parts.js";

const GRID = 16; // px a side at which pictures are compared
const SHOWN = 6;

// The means of the cells of a 16 x 16 grid over a part of an image: 768 numbers, transparent parts on white.
function features({ data, width: row }, left, top, width, height) {
  const numbers = new Float32Array(GRID * GRID * 3);
  const edge = (k, length) => Math.floor((k * length) / GRID);
  for (let y = 0; y < GRID; y++) {
    for (let x = 0; x < GRID; x++) {
      const [x0, x1] = [edge(x, width), Math.max(edge(x + 1, width), edge(x, width) + 1)];
      const [y0, y1] = [edge(y, height), Math.max(edge(y + 1, height), edge(y, height) + 1)];
      for (let v = y0; v < y1; v++) {
        for (let u = x0; u < x1; u++) {
          const at = 4 * ((top + v) * row + left + u);
          const opaque = data[at + 3] / 255;
          for (let c = 0; c < 3; c++) numbers[(y * GRID + x) * 3 + c] += (opaque * data[at + c] + 255 * (1 - opaque)) / ((x1 - x0) * (y1 - y0));
        }
      }
    }
  }
  return numbers;
}

function distance(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return Math.sqrt(sum / a.length);
}

// The pixels of a canvas or a bitmap. A copy is read: the stage's own canvas is drawn to and must stay fast.
function pixelsOf(image) {
  const paper = new OffscreenCanvas(image.width, image.height).getContext("2d");
  paper.drawImage(image, 0, 0);
  return paper.getImageData(0, 0, image.width, image.height);
}

let library = null; // {bitmap, all}, once it is asked for

const image = async (id) => createImageBitmap(new Blob([await block(id)], { type: "image/webp" }));

async function open() {
  const { count, columns } = exhibit.nearest;
  const pixels = pixelsOf(await image("features"));
  const all = Array.from({ length: count }, (_, i) => features(pixels, (i % columns) * GRID, Math.floor(i / columns) * GRID, GRID, GRID));
  return { bitmap: await image("thumbnails"), all };
}

export function draw(panel) {
  const { count, columns, width, height } = exhibit.nearest;
  const list = el("ul", { class: "faces" });
  const picture = byId("picture");
  const show = async () => {
    try {
      const { bitmap, all } = await (library ??= open());
      const mine = features(pixelsOf(picture), 0, 0, picture.width, picture.height);
      const ranked = all.map((other, i) => [distance(mine, other), i]).sort(([a], [b]) => a - b).slice(0, SHOWN);
      list.replaceChildren(...ranked.map(([far, i]) => {
        const canvas = el("canvas", { width, height, role: "img", "aria-label": t("exhibit.training_picture", { number: i }) });
        canvas.getContext("2d").drawImage(bitmap, (i % columns) * width, Math.floor(i / columns) * height, width, height, 0, 0, width, height);
        return el("li", { "data-number": i }, canvas, el("span", { class: "soft small" }, formatNumber(Math.round(far * 10) / 10)));
      }));
    } catch (error) {
      toast(error.message);
    }
  };
  panel.append(
    el("div", { class: "head" }, el("p", {}, t("exhibit.nearest_intro", { count: formatNumber(count) }))), list,
    el("p", { class: "soft small" }, t("exhibit.nearest_measure")),
  );
  picture.addEventListener("painted", show);
  if (byId("stage").classList.contains("ready")) show();
  return { close: () => picture.removeEventListener("painted", show) };
}
