// Pictures for a model that translates: the person's own, and examples of its data.
import { t } from "./messages.js";
import { el, offNote, uniqueId } from "./parts.js";
import { on, state } from "./state.js";
import { addFiles, clear, current, domainName, opposite, setKeepSize, show, showExample, turn } from "./translation.js";

const THUMB = 112; // pixels

let redraw = null; // of the open panel
on("translated", () => redraw?.());

function directionChoice() {
  const name = uniqueId("to");
  const choices = ["b", "a"].map((side) => {
    const radio = el("input", { type: "radio", name, value: side, class: "unseen", change: () => turn(side) });
    const text = t("page.from_to", { source: domainName(opposite(side)), target: domainName(side) });
    return { side, radio, label: el("label", {}, radio, el("span", { class: "button" }, text)) };
  });
  const node = el("fieldset", { class: "ways" }, el("legend", { class: "soft" }, t("page.direction")), ...choices.map(({ label }) => label));
  return { node, update: () => choices.forEach(({ side, radio }) => (radio.checked = side === current.to)) };
}

// Example pictures of the domain that is translated from.
function exampleList() {
  const list = el("ul", { class: "faces" });
  const text = el("p", { class: "soft small" });
  const node = el("section", {}, el("h3", {}, t("page.examples")), text, list);
  let side = "";
  const update = () => {
    const { examples } = state;
    if (!examples) return;
    if (examples.why) return text.replaceChildren(offNote(t("page.examples_none", { reason: examples.why })));
    const source = opposite(current.to);
    if (source !== side) {
      side = source;
      const domain = domainName(source);
      text.textContent = t(examples.part === "train" ? "page.examples_seen" : "page.examples_unseen", { domain });
      list.replaceChildren(...Array.from({ length: examples[source] }, (_, i) => {
        const label = t("page.example_of", { number: i + 1, domain });
        const button = el("button", { type: "button", class: "face", "aria-label": label, title: label, "data-example": `${source}${i}`, click: () => showExample(source, i) });
        button.append(el("img", { src: `api/examples/${source}/${i}`, alt: "", loading: "lazy", class: state.facts.shape[1] < 48 ? "pixelated" : "" }));
        return el("li", {}, button);
      }));
    }
    for (const button of list.querySelectorAll("button")) button.setAttribute("aria-current", String(button.dataset.example === current.item?.example));
    return undefined;
  };
  return { node, update };
}

function thumbnail({ output, input }) {
  const { bitmap } = output ?? input;
  const scale = THUMB / Math.max(bitmap.width, bitmap.height);
  const canvas = el("canvas", { width: Math.max(1, Math.round(bitmap.width * scale)), height: Math.max(1, Math.round(bitmap.height * scale)), "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = scale < 2;
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

const cards = new WeakMap(); // item -> {key, node, url}

function card(item) {
  const key = `${item.key} ${Boolean(item.error)} ${document.documentElement.lang}`;
  const cached = cards.get(item);
  if (cached?.key === key) return cached.node;
  if (cached?.url) URL.revokeObjectURL(cached.url);
  const url = item.output && URL.createObjectURL(item.output.blob);
  const name = `${item.name.replace(/\.\w{1,5}$/, "")}-${domainName(item.to)}.png`;
  const button = el("button", { type: "button", class: "face", "aria-label": item.name, title: item.name, click: () => show(item, { to: item.to, keepSize: item.keepSize }) });
  button.append(item.output ? thumbnail(item) : el("span", { class: "blank" }));
  const below = item.error ? el("span", { class: "soft small failed" }, item.error())
    : item.output ? el("a", { href: url, download: name, class: "small", "aria-label": t("page.download_of", { name }) }, t("page.download"))
    : el("span", { class: "soft small" }, t("page.waiting"));
  const node = el("li", {}, button, below);
  cards.set(item, { key, node, url });
  return node;
}

function ownPictures() {
  const list = el("ul", { class: "faces own" });
  const clearButton = el("button", { type: "button", class: "quiet", click: clear }, t("page.clear"));
  const node = el("section", {}, el("div", { class: "head" }, el("h3", {}, t("page.yours")), clearButton), list);
  const update = () => {
    node.hidden = !current.strip.length;
    list.replaceChildren(...current.strip.map(card));
    current.strip.forEach((item, i) => list.children[i].firstElementChild.setAttribute("aria-current", String(item === current.item)));
  };
  return { node, update };
}

export function draw(panel) {
  const input = el("input", { type: "file", id: "pictures", accept: "image/*", multiple: true, class: "unseen", change: () => addFiles([...input.files]).then(() => (input.value = "")) });
  const size = el("input", { type: "checkbox", id: "keepsize", change: () => setKeepSize(size.checked) });
  const text = el("p", { role: "status" });
  const stop = el("button", { type: "button", click: () => current.batch?.stop() }, t("page.stop"));
  const batch = el("div", { class: "row" }, text, stop);
  const [direction, own, examples] = [directionChoice(), ownPictures(), exampleList()];
  const { run, name, whole, shape: [, height, width] } = state.facts;
  panel.append(
    el("div", { class: "head" }, el("p", {}, t("page.translate_intro"))),
    el("div", { class: "row dropline" }, input, el("label", { for: "pictures", class: "button primary" }, t("page.choose_pictures")), el("span", { class: "soft" }, t("page.or_paste"))),
    direction.node,
    el("label", { class: "check", title: t("page.keep_size_hint") }, size, el("span", {}, t("page.keep_size"))),
    ...(whole ? [el("p", { class: "soft small" }, t("page.keep_size_whole", { width, height }))] : []),
    batch, own.node, examples.node,
    el("p", { class: "soft small folder" }, t("page.folder_command"), " ", el("code", {}, `simulacra translate ${run ? `runs/${name}` : name} IN OUT --to b`)),
  );
  redraw = () => {
    for (const part of [direction, own, examples]) part.update();
    size.checked = current.keepSize;
    batch.hidden = !current.batch;
    text.textContent = current.batch ? t("page.batch", { number: current.batch.at, count: current.batch.items.length }) : "";
  };
  redraw();
  return { close: () => (redraw = null) };
}
