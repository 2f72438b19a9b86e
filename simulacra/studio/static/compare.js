// Two models side by side on the same seeds.
import { t } from "/static/messages.js";
import { el, toast } from "/static/parts.js";
import * as api from "./requests.js";

const COLUMNS = 8;
const SIDE = 64; // px of a picture
const MORE = 5; // minutes of the button
const JUDGES = /^(fd|swd)-/; // the lines of the scores that lead

export async function draw(box) {
  const paths = location.hash.split("/").slice(1).map(decodeURIComponent);
  let first = 0; // seed
  const count = COLUMNS * COLUMNS;
  const { entries } = await api.library();
  const columns = paths.map((path) => {
    const entry = entries.find((one) => one.path === path);
    const image = el("img", { alt: t("studio.faces_of", { name: entry?.name ?? path }) });
    const score = entry?.score ? `${entry.score.name} ${entry.score.value.toPrecision(3)} (${entry.score.low.toPrecision(3)}–${entry.score.high.toPrecision(3)})` : t("studio.no_scores");
    return { path, image, name: entry?.name ?? path, kind: entry?.kind, box: el("figure", {}, el("h3", {}, el("a", { href: api.modelAddress(path) }, entry?.name ?? path)), image, el("figcaption", {}, score)) };
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
  let isOpen = true;
  const verdict = el("div", { class: "verdict", role: "status", hidden: true });
  const say = (...parts) => {
    verdict.replaceChildren(...parts);
    verdict.hidden = false;
  };
  const during = (node, work) => node.addEventListener("click", async () => {
    node.disabled = true;
    try {
      await work();
    } catch (error) {
      say(error.message);
    }
    node.disabled = false;
  });
  const followed = async (process) => {
    const ended = await api.follow(process.id, () => {}, () => isOpen);
    if (ended && ended.state !== "done") throw new Error(ended.lines.at(-1) ?? t("studio.went_wrong"));
    return ended;
  };
  const judge = el("button", { type: "button" }, t("studio.compare_now"));
  during(judge, async () => {
    say(t("studio.compare_about"));
    const ended = await followed(await api.compare(...paths));
    if (!ended) return;
    const scores = ended.lines.filter((line) => JUDGES.test(line));
    say(el("p", {}, ended.lines.at(-1)), el("p", { class: "soft small" }, t("studio.differences")), ...scores.map((line) => el("p", { class: "small" }, line)),
      el("details", {}, el("summary", {}, t("studio.all_scores")), el("pre", { class: "log", tabindex: 0 }, ended.lines.join("\n"))));
  });
  // In turns, so that both futures have the machine alone.
  const both = el("button", { type: "button", hidden: !columns.every(({ kind }) => kind === "run") }, t("studio.both", { count: MORE }));
  during(both, async () => {
    for (const { path, name } of columns) {
      say(t("studio.both_in_turn", { name }));
      if (!(await followed(await api.train({ run: path, minutes: MORE })))) return;
      await redraw();
    }
    verdict.hidden = true;
  });
  box.append(el("h2", {}, t("studio.compared")), el("p", { class: "soft" }, t("studio.compared_about")), el("div", { class: "row" }, next, judge, both), verdict, el("div", { class: "pairs" }, ...columns.map((column) => column.box)));
  redraw();
  return { close: () => (isOpen = false) };
}
