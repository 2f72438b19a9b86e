// The pace of a training: pause, steps one by one, slow motion, and the pictures of the moment.
import { formatNumber, t } from "/static/messages.js";
import { el, toast } from "/static/parts.js";
import * as api from "./requests.js";

const POLL = 300; // ms between looks while it does not go at full pace
const STEPS = [1, 10, 100];

// Returns its node, and `update` to be called with each look at the run. image: where the pictures of the moment are shown.
export function pacing(path, image, isOpen) {
  const where = el("p", { class: "soft small", role: "status" });
  const buttons = [];
  let [wanted, shown, looking] = [0, 0, false]; // numbers of orders

  const look = async () => {
    if (looking) return;
    looking = true;
    try {
      for (let now = await api.pace(path); isOpen() && (now || wanted > shown); now = await api.pace(path)) {
        if (now) {
          const { d_loss: D, g_loss: G } = now.losses;
          shown = now.number;
          where.textContent = [
            t("page.images_shown", { nimg: formatNumber(now.nimg) }),
            t("studio.pace_steps", { d: formatNumber(now.steps.D), g: formatNumber(now.steps.G) }),
            D != null && G != null && t("studio.pace_losses", { d: D.toPrecision(3), g: G.toPrecision(3) }),
          ].filter(Boolean).join(" · ");
          image.src = api.address("/moment", { path, at: `${now.nimg}-${now.steps.D + now.steps.G}` });
        }
        await new Promise((resolve) => setTimeout(resolve, POLL));
      }
    } catch (error) {
      toast(error.message);
    }
    where.textContent = "";
    looking = false;
  };
  const ask = (text, pace, steps) => {
    const node = el("button", { type: "button", click: async () => {
      try {
        wanted = (await api.order(path, pace, steps)).number;
        if (pace === "full") shown = wanted;
        look();
      } catch (error) {
        toast(error.message);
      }
    } }, text);
    buttons.push(node);
    return node;
  };
  const node = el("details", { class: "pace" }, el("summary", {}, t("studio.pace")), el("p", { class: "soft small" }, t("studio.pace_about")),
    el("div", { class: "row" }, ask(t("studio.pause"), "paused"), ...STEPS.map((count) => ask(t("studio.steps", { count }), "paused", count)),
      ask(t("studio.slow"), "slow"), ask(t("studio.full"), "full")),
    where);
  const update = ({ alive }) => {
    node.hidden = !alive;
    if (alive && !looking) look();
  };
  return { node, update, isPaced: () => looking && shown > 0 && where.textContent !== "" };
}
