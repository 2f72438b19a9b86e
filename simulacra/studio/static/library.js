// Everything in the folder: a place to drop pictures, what runs now, runs and models, datasets, and the bin.
import { formatNumber, t } from "/static/messages.js";
import { byId, el, toast } from "/static/parts.js";
import * as api from "./requests.js";
import { dropPlace } from "./dropping.js";

const POLL = 4000; // ms between looks at the folder
const BUNDLED = "@peeps";

export const go = (view, subject) => {
  location.hash = `${view}/${subject.split("/").map(encodeURIComponent).join("/")}`;
};

const guarded = (work) => async () => {
  try {
    await work();
  } catch (error) {
    toast(error.message);
  }
};

function facts(entry) {
  const size = entry.size && `${entry.size[1]} × ${entry.size[0]} px`;
  if (entry.kind === "dataset" || entry.kind === "pair") return [size, t("studio.pictures", { count: entry.pictures ?? 0, number: formatNumber(entry.pictures ?? 0) })];
  const shown = entry.nimg ? t("page.images_shown", { nimg: formatNumber(entry.nimg) }) : null;
  const score = entry.score && `${entry.score.name} ${entry.score.value.toPrecision(3)}`;
  return [entry.gan, size, shown, score];
}

const compareAddress = (paths) => `compare/${paths.map((one) => encodeURIComponent(one)).join("/")}`;

// Runs, newest first, each followed by its forks.
function family(models, folder) {
  const parent = new Map(models.map((entry) => [entry.path, models.find(({ path }) => entry.fork && entry.fork.run === `${folder}/${path}`)]));
  const below = (above) => models.filter((entry) => parent.get(entry.path) === above).flatMap((entry) => [{ ...entry, parent: above }, ...below(entry)]);
  return below(undefined);
}

function card(entry, chosen, refresh) {
  const { path } = entry;
  const isRun = entry.kind === "run" || entry.kind === "model";
  const open = () => (entry.kind === "run" && !entry.drawable ? go("run", path) : isRun ? location.assign(api.modelAddress(path)) : go("data", path));
  const face = el("button", { type: "button", class: "face", click: open, "aria-label": t(isRun ? "studio.open" : "studio.look_at", { name: entry.name }) });
  if (entry.picture) face.append(el("img", { src: `${api.address("/picture", { path })}&v=${Math.round(entry.changed)}`, alt: "", loading: "lazy" }));
  else face.append(el("span", { class: "blank" }));
  const buttons = [];
  const name = entry.name.split("/").at(-1);
  if (isRun && entry.drawable) buttons.push(el("a", { class: "button primary", href: api.modelAddress(path) }, t("studio.open_it")));
  if (entry.kind === "run") buttons.push(el("button", { type: "button", click: () => go("run", path) }, t("studio.training")));
  if (!isRun) buttons.push(el("button", { type: "button", class: "primary", click: () => go("data", path) }, t("studio.train")));
  buttons.push(
    el("button", { type: "button", class: "quiet", click: guarded(async () => {
      const name = prompt(t("studio.new_name"), path.split("/").at(-1));
      if (name) await api.rename(path, name);
      refresh();
    }) }, t("studio.rename")),
    el("button", { type: "button", class: "quiet", click: guarded(async () => {
      await api.throwAway(path);
      toast(t("studio.thrown_away", { name }));
      refresh();
    }) }, t("studio.throw_away")),
  );
  if (entry.kind === "run" && entry.drawable && entry.task !== "translate") {
    const box = el("input", { type: "checkbox", checked: chosen.has(path), change: () => {
      if (box.checked) chosen.add(path);
      else chosen.delete(path);
      if (chosen.size === 2) location.hash = compareAddress([...chosen]);
    } });
    buttons.push(el("label", { class: "check" }, box, t("studio.compare")));
  }
  const marks = [
    entry.alive && el("span", { class: "mark alive" }, t("studio.alive")),
    ...Object.keys(entry.verdicts ?? {}).map((name) => el("span", { class: "mark" }, name)),
  ];
  return el("li", { class: "card" }, face, el("h3", { title: path }, name), el("p", { class: "soft small" }, facts(entry).filter(Boolean).join(" · ")),
    entry.parent ? el("p", { class: "small" }, t("studio.forked", { name: entry.parent.name }), " ", el("a", { href: `#${compareAddress([entry.parent.path, path])}` }, t("studio.beside", { name: entry.parent.name }))) : null,
    entry.damage ? el("p", { class: "why" }, entry.damage) : entry.kind === "run" && !entry.drawable && !entry.alive ? el("p", { class: "small" }, t("studio.nothing_drawn")) : null, ...marks, el("div", { class: "row" }, ...buttons));
}

function bundled() {
  return el("li", { class: "card" },
    el("a", { class: "face", href: api.modelAddress(BUNDLED) }, el("img", { src: "/studio/people.webp", alt: t("studio.bundled_faces") })),
    el("h3", {}, t("studio.bundled")), el("p", { class: "soft small" }, t("studio.bundled_about")),
    el("div", { class: "row" },
      el("a", { class: "button", href: api.modelAddress(BUNDLED) }, t("studio.play")),
      el("button", { type: "button", click: () => go("data", "peeps") }, t("studio.train_on_them"))));
}

export async function draw(box) {
  let isOpen = true;
  let before = "";
  const chosen = new Set();
  const lists = el("div", {});
  const refresh = async () => {
    try {
      const library = await api.library();
      if (!isOpen) return;
      byId("folder").textContent = library.folder;
      const now = JSON.stringify(library);
      if (now !== before) drawLists(library);
      before = now;
    } catch (error) {
      toast(error.message);
    }
  };
  const section = (title, items, ...more) => (items.length ? [el("h2", {}, t(title)), el("ul", { class: "cards" }, ...items), ...more] : []);
  const drawLists = ({ folder, entries, bin, processes }) => {
    const models = entries.filter(({ kind }) => kind === "run" || kind === "model").sort((a, b) => b.changed - a.changed);
    const data = entries.filter(({ kind }) => kind === "dataset" || kind === "pair").sort((a, b) => b.changed - a.changed);
    const running = processes.map(({ id, kind, subject, lines }) =>
      el("li", {}, el("strong", {}, t(`studio.kind.${kind}`, { subject })), " ", el("span", { class: "soft" }, lines.at(-1) ?? ""), " ",
        el("button", { type: "button", click: guarded(() => api.stop(id).then(refresh)) }, t("studio.stop"))));
    const thrown = bin.map((entry) =>
      el("li", { class: "row" }, entry.name, el("button", { type: "button", class: "quiet", click: guarded(() => api.restore(entry.path).then(refresh)) }, t("studio.restore"))));
    lists.replaceChildren(
      ...(running.length ? [el("h2", {}, t("studio.running")), el("ul", { class: "running" }, ...running)] : []),
      ...section("studio.models", [...family(models, folder).map((entry) => card(entry, chosen, refresh)), bundled()]),
      ...section("studio.datasets", data.map((entry) => card(entry, chosen, refresh))),
      ...(thrown.length ? [el("details", {}, el("summary", {}, t("studio.bin", { count: thrown.length })), el("ul", {}, ...thrown))] : []),
    );
  };
  const place = dropPlace((source) => go("new", source));
  box.append(place.box, lists);
  await refresh();
  const timer = setInterval(() => !document.hidden && refresh(), POLL);
  return {
    close: () => {
      isOpen = false;
      clearInterval(timer);
      place.close();
    },
  };
}
