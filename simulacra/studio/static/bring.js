// The first look at pictures: what is wrong with them, size and crop with examples, and the dataset made of them.
import { formatNumber, t } from "/static/messages.js";
import { el, offNote, select, toast } from "/static/parts.js";
import { go } from "./library.js";
import * as api from "./requests.js";

const SIZES = [32, 48, 64, 96, 128, 256];
const NAMES = 4; // files beside a reason

// The share of the pictures whose shorter side has so many pixels.
function shareOf(sizes, side) {
  const all = Object.entries(sizes).map(([size, count]) => [Math.min(...size.split("x").map(Number)), count]);
  const sum = (list) => list.reduce((total, [, count]) => total + count, 0);
  return sum(all.filter(([shorter]) => shorter >= side)) / Math.max(1, sum(all));
}

function report(result) {
  const rejects = Object.entries(result.rejects).map(([reason, names]) =>
    el("li", {}, t("studio.set_aside", { count: names.length, number: formatNumber(names.length), reason }), " ",
      el("span", { class: "soft small" }, names.slice(0, NAMES).join(", ") + (names.length > NAMES ? " …" : ""))));
  const copies = result.duplicates.reduce((sum, group) => sum + group.length - 1, 0);
  const [most] = Object.entries(result.sizes);
  return el("div", { class: "report" },
    el("p", {}, el("strong", {}, t("studio.usable", { count: result.usable, number: formatNumber(result.usable) }))),
    most ? el("p", { class: "soft" }, t("studio.mostly", { size: most[0] })) : null,
    Object.keys(result.classes).length ? el("p", { class: "soft" }, t("studio.classes", { names: Object.keys(result.classes).slice(0, 12).join(", ") })) : null,
    copies ? el("p", { class: "soft" }, t("studio.copies", { count: copies })) : null,
    rejects.length ? el("ul", { class: "rejects" }, ...rejects) : null,
    ...result.notes.map((note) => offNote(note)));
}

export async function draw(box, source) {
  let isOpen = true;
  const status = el("p", { role: "status", class: "soft" }, t("studio.looking"));
  const rest = el("div", {});
  box.append(el("h2", {}, source.split("/").at(-1)), status, rest);
  const close = { close: () => (isOpen = false) };
  const watch = (process) => api.follow(process.id, (news) => (status.textContent = news.lines.filter((line) => !line.startsWith("{")).at(-1) ?? t("studio.looking")), () => isOpen);

  const form = (result) => {
    const choice = { size: "auto", crop: "centre" };
    const examples = el("img", { class: "examples", alt: t("studio.examples") });
    const keep = el("input", { type: "checkbox", id: "keep", checked: true });
    const kept = el("label", { class: "check" }, keep, t("studio.keep_originals"));
    const redraw = () => {
      const size = choice.size === "auto" ? String(result.size[0]) : choice.size;
      kept.hidden = shareOf(result.sizes, 2 * Number(size)) < 0.5;
      examples.src = api.address("/examples", { source, size, crop: choice.crop });
    };
    examples.addEventListener("error", () => toast(t("studio.no_examples")));
    const chosen = (name) => (value) => {
      choice[name] = value;
      redraw();
    };
    const sizes = [["auto", t("studio.size_auto", { side: result.size[0] })], ...SIZES.map((side) => [String(side), `${side} px`])];
    const crops = [["centre", t("studio.crop_centre")], ["0.8", t("studio.crop_middle")], ["none", t("studio.crop_none")]];
    const once = el("input", { type: "checkbox", id: "once" });
    const name = el("input", { id: "name", value: source.split("/").at(-1).replace(/\.[^.]*$/, ""), maxlength: 60, "aria-label": t("studio.name") });
    const button = el("button", { class: "primary" }, t("studio.prepare"));
    redraw();
    return el("form", { class: "choices", submit: async (event) => {
      event.preventDefault();
      button.disabled = true;
      try {
        const ended = await watch(await api.prepare({ source, name: name.value, ...choice, drop_duplicates: once.checked, keep_originals: keep.checked && !kept.hidden }));
        if (ended?.state === "done") go("data", ended.subject);
        else if (ended) throw new Error(ended.lines.at(-1) ?? t("studio.went_wrong"));
      } catch (error) {
        toast(error.message);
        status.textContent = error.message;
      } finally {
        button.disabled = false;
      }
    } },
      el("div", { class: "row" },
        el("label", { class: "field" }, t("studio.size"), select(t("studio.size"), sizes, "auto", chosen("size"), { id: "size" })),
        el("label", { class: "field" }, t("studio.crop"), select(t("studio.crop"), crops, "centre", chosen("crop"), { id: "crop" })),
        result.duplicates.length ? el("label", { class: "check" }, once, t("studio.drop_duplicates")) : null,
        kept),
      el("p", { class: "soft" }, t("studio.examples")), examples,
      el("div", { class: "row" }, el("label", { class: "field" }, t("studio.name"), name), button));
  };

  (async () => {
    try {
      const ended = await watch(await api.inspect(source));
      if (!ended || !isOpen) return;
      if (ended.state !== "done" || !ended.result) throw new Error(ended.lines.at(-1) ?? t("studio.went_wrong"));
      status.textContent = "";
      rest.append(report(ended.result));
      if (ended.result.usable) rest.append(form(ended.result));
    } catch (error) {
      status.textContent = error.message;
    }
  })();
  return close;
}
