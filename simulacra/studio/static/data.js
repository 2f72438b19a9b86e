// A dataset: what it holds, what a training on it would be, and its start.
import { t } from "/static/messages.js";
import { el, select, toast } from "/static/parts.js";
import { go } from "./library.js";
import * as api from "./requests.js";

const MINUTES = [5, 20, 60, 240];
const SETTING = /^\s*[a-z_0-9]+=\S*$/; // a line of the forecast that is a setting alone
const POLL = 1000; // ms between looks for the run that begins

export async function draw(box, data) {
  let isOpen = true;
  const status = el("p", { role: "status", class: "soft" });
  const plan = el("ul", { class: "plan" });
  let minutes = "";
  const lengths = [["", t("studio.until_good")], ...MINUTES.map((count) => [String(count), t("studio.minutes", { count })])];
  const begun = async (process) => {
    const name = data.split("/").at(-1);
    for (;;) {
      const [{ entries }, news] = await Promise.all([api.library(), api.process(process.id)]);
      if (!isOpen) return;
      const run = entries.filter((entry) => entry.kind === "run" && entry.data === name && (entry.alive || news.state === "done")).sort((a, b) => b.changed - a.changed)[0];
      if (run) return go("run", run.path);
      if (news.state !== "running") throw new Error(news.lines.at(-1) ?? t("studio.went_wrong"));
      status.textContent = news.lines.at(-1) ?? t("studio.starting");
      await new Promise((resolve) => setTimeout(resolve, POLL));
    }
  };
  const start = el("button", { type: "button", class: "primary", click: async () => {
    start.disabled = true;
    status.textContent = t("studio.starting");
    try {
      await begun(await api.train({ data, ...(minutes ? { minutes: Number(minutes) } : {}) }));
    } catch (error) {
      toast(error.message);
      status.textContent = error.message;
      start.disabled = false;
    }
  } }, t("studio.start"));
  box.append(
    el("h2", {}, data.split("/").at(-1)),
    ...(data === "peeps" ? [el("p", { class: "soft" }, t("studio.peeps_about"))] : [el("img", { class: "sheet", src: api.address("/picture", { path: data }), alt: t("studio.sheet") })]),
    el("h3", {}, t("studio.what_auto_chooses")), plan,
    el("div", { class: "row" }, el("label", { class: "field" }, t("studio.length"), select(t("studio.length"), lengths, "", (value) => (minutes = value), { id: "minutes" })), start),
    status);
  const drawPlan = (lines) => {
    const [plain, sentences] = [lines.filter((line) => SETTING.test(line)), lines.filter((line) => !SETTING.test(line))];
    plan.replaceChildren(...sentences.map((line) => el("li", {}, line.trim())));
    if (plain.length) plan.append(el("li", {}, el("details", {}, el("summary", {}, t("studio.all_settings")), el("p", { class: "settings" }, plain.map((line) => line.trim()).join(" ")))));
  };
  (async () => {
    try {
      const ended = await api.follow((await api.forecast(data)).id, ({ lines }) => drawPlan(lines), () => isOpen);
      if (ended && !ended.lines.length) plan.append(el("li", {}, t("studio.went_wrong")));
    } catch (error) {
      plan.append(el("li", {}, error.message));
    }
  })();
  return { close: () => (isOpen = false) };
}
