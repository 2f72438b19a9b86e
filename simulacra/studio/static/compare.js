// Two models side by side on the same seeds.
import { t } from "/static/messages.js";
import { el, toast } from "/static/parts.js";
import * as api from "./requests.js";

const COLUMNS = 5;
const SIDE = 96; // px of a picture

export async function draw(box) {
  const paths = location.hash.split("/").slice(1).map(decodeURIComponent);
  let first = 0; // seed
  const count = COLUMNS * COLUMNS;
  const { entries } = await api.library();
  const columns = paths.map((path) => {
    const entry = entries.find((one) => one.path === path);
    const image = el("img", { alt: t("studio.faces_of", { name: entry?.name ?? path }) });
    const score = entry?.score ? `${entry.score.name} ${entry.score.value.toPrecision(3)} (${entry.score.low.toPrecision(3)}–${entry.score.high.toPrecision(3)})` : t("studio.no_scores");
    return { path, image, box: el("figure", {}, el("h3", {}, el("a", { href: api.modelAddress(path) }, entry?.name ?? path)), image, el("figcaption", {}, score)) };
  });
  const redraw = async () => {
    const seeds = Array.from({ length: count }, (_, i) => first + i);
    for (const { path, image } of columns) {
      try {
        const blob = await api.faces(path, seeds, SIDE, COLUMNS);
        URL.revokeObjectURL(image.src);
        image.src = URL.createObjectURL(blob);
      } catch (error) {
        toast(error.message);
      }
    }
  };
  const next = el("button", { type: "button", click: () => {
    first += count;
    redraw();
  } }, t("studio.other_seeds"));
  box.append(el("h2", {}, t("studio.compared")), el("p", { class: "soft" }, t("studio.compared_about")), next, el("div", { class: "pairs" }, ...columns.map((column) => column.box)));
  redraw();
}
