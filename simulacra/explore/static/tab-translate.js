// Pictures for a model that translates: one's own, and examples of its data.
import { said } from "./api.js";
import { el, fresh, why } from "./parts.js";
import { on, state } from "./state.js";
import { clear, domain, example, keep, now, other, show, take, turn } from "./translation.js";
import { t } from "./words.js";

const THUMB = 112; // pixels

let redraw = null; // of the panel that is open
on("translated", () => redraw?.());

function directions() {
  const name = fresh("to");
  const radios = ["b", "a"].map((side) => {
    const radio = el("input", { type: "radio", name, value: side, class: "unseen", change: () => turn(side) });
    return { side, radio, label: el("label", {}, radio, el("span", { class: "button" }, t("fromTo", domain(other(side)), domain(side)))) };
  });
  const node = el("fieldset", { class: "ways" }, el("legend", { class: "soft" }, t("direction")), ...radios.map(({ label }) => label));
  return { node, settle: () => radios.forEach(({ side, radio }) => (radio.checked = side === now.to)) };
}

// Pictures of the domain that is translated from.
function examples() {
  const list = el("ul", { class: "faces" });
  const text = el("p", { class: "soft small" });
  const node = el("section", {}, el("h3", {}, t("examples")), text, list);
  let side = "";
  const settle = () => {
    const told = state.examples;
    if (!told) return;
    if (told.why) return text.replaceChildren(why(t("noExamples", said(told.why))));
    const from = other(now.to);
    if (from !== side) {
      side = from;
      text.textContent = t(told.part === "train" ? "examplesSeen" : "examplesUnseen", domain(from));
      list.replaceChildren(...Array.from({ length: told[from] }, (_, i) => {
        const label = t("exampleOf", i + 1, domain(from));
        const button = el("button", { type: "button", class: "face", "aria-label": label, title: label, "data-example": `${from}${i}`, click: () => example(from, i) });
        button.append(el("img", { src: `/api/examples/${from}/${i}`, alt: "", loading: "lazy", class: state.facts.shape[1] < 48 ? "pixelated" : "" }));
        return el("li", {}, button);
      }));
    }
    for (const button of list.querySelectorAll("button")) button.setAttribute("aria-current", String(button.dataset.example === now.shown?.example));
    return undefined;
  };
  return { node, settle };
}

function thumbnail({ made, given }) {
  const { bitmap } = made ?? given;
  const scale = THUMB / Math.max(bitmap.width, bitmap.height);
  const canvas = el("canvas", { width: Math.max(1, Math.round(bitmap.width * scale)), height: Math.max(1, Math.round(bitmap.height * scale)), "aria-hidden": "true" });
  const paper = canvas.getContext("2d");
  paper.imageSmoothingEnabled = scale < 2;
  paper.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

const cards = new WeakMap(); // picture -> {key, node}

function card(each) {
  const key = `${each.key} ${Boolean(each.error)} ${document.documentElement.lang}`;
  const known = cards.get(each);
  if (known?.key === key) return known.node;
  if (known?.url) URL.revokeObjectURL(known.url);
  const url = each.made && URL.createObjectURL(each.made.blob);
  const name = `${each.name.replace(/\.\w{1,5}$/, "")}-${domain(each.to)}.png`;
  const button = el("button", { type: "button", class: "face", "aria-label": each.name, title: each.name, click: () => show(each, { to: each.to, keep: each.keep }) });
  button.append(each.made ? thumbnail(each) : el("span", { class: "blank" }));
  const below = each.error ? el("span", { class: "soft small failed" }, each.error())
    : each.made ? el("a", { href: url, download: name, class: "small", "aria-label": t("downloadOf", name) }, t("download"))
    : el("span", { class: "soft small" }, t("waits"));
  const node = el("li", {}, button, below);
  cards.set(each, { key, node, url });
  return node;
}

function own() {
  const list = el("ul", { class: "faces own" });
  const all = el("button", { type: "button", class: "quiet", click: clear }, t("clear"));
  const node = el("section", {}, el("div", { class: "head" }, el("h3", {}, t("yours")), all), list);
  const settle = () => {
    node.hidden = !now.taken.length;
    list.replaceChildren(...now.taken.map(card));
    now.taken.forEach((each, i) => list.children[i].firstElementChild.setAttribute("aria-current", String(each === now.shown)));
  };
  return { node, settle };
}

export function draw(panel) {
  const input = el("input", { type: "file", id: "pictures", accept: "image/*", multiple: true, class: "unseen", change: () => take([...input.files]).then(() => (input.value = "")) });
  const way = directions();
  const size = el("input", { type: "checkbox", id: "keepsize", change: () => keep(size.checked) });
  const text = el("p", { role: "status" });
  const stop = el("button", { type: "button", click: () => now.batch?.stop() }, t("stop"));
  const going = el("div", { class: "row" }, text, stop);
  const [strip, some] = [own(), examples()];
  const name = state.facts.run ? `runs/${state.facts.name}` : state.facts.name;
  panel.append(
    el("div", { class: "head" }, el("p", {}, t("translateIs"))),
    el("div", { class: "row dropline" }, input, el("label", { for: "pictures", class: "button primary" }, t("choosePictures")), el("span", { class: "soft" }, t("orPaste"))),
    way.node,
    el("label", { class: "check", title: t("keepSizeIs") }, size, el("span", {}, t("keepSize"))),
    ...(state.facts.whole ? [el("p", { class: "soft small" }, t("keepSizeWhole", state.facts.shape[2], state.facts.shape[1]))] : []),
    going, strip.node, some.node,
    el("p", { class: "soft small folder" }, t("folderIs"), " ", el("code", {}, `simulacra translate ${name} IN OUT --to b`)),
  );
  redraw = () => {
    way.settle();
    strip.settle();
    some.settle();
    size.checked = now.keep;
    going.hidden = !now.batch;
    text.textContent = now.batch ? t("inTurn", now.batch.at, now.batch.items.length) : "";
  };
  redraw();
  return { close: () => (redraw = null) };
}
