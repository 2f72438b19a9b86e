// The tabs beside the picture. A panel is drawn when its tab is chosen, and told when the picture has settled.
import { byId, el, why } from "./parts.js";
import { on, state, translates } from "./state.js";
import { t } from "./words.js";

const draws = { able: () => !translates(), no: "offTranslates" }; // no: why not, where the tab itself does not say it
const LATENT = [
  { name: "directions", word: "tabDirections", ...draws },
  { name: "mix", word: "tabMix", ...draws },
  { name: "photo", word: "tabPhoto", ...draws },
  { name: "walk", word: "tabWalk", ...draws },
  { name: "numbers", word: "tabNumbers", ...draws },
];
const RUNS = { name: "runs", word: "tabRuns", able: () => state.facts?.run };
const TRANSLATE = { name: "translate", word: "tabTranslate", able: translates, no: "offDraws" };
const tabs = () => (translates() ? [TRANSLATE, RUNS, ...LATENT] : [...LATENT, RUNS, TRANSLATE]);

const loaded = {};
let open = null; // {name, settled, close}
let turn = 0;

export const openTab = () => open?.name ?? tabs()[0].name;

export async function showTab(name, focus = false) {
  const mine = ++turn;
  const { able, no, word } = tabs().find((tab) => tab.name === name);
  if (able() || !no) loaded[name] ??= import(`./tab-${name}.js`);
  const { draw } = able() || !no ? await loaded[name] : { draw: (panel) => panel.append(why(t(no, t(word)))) };
  if (mine !== turn) return; // another was chosen meanwhile
  open?.close?.();
  const panel = byId("panel");
  panel.replaceChildren();
  panel.setAttribute("aria-labelledby", `tab-${name}`);
  panel.className = name;
  open = { name, ...(draw(panel) ?? {}) };
  drawTabs();
  if (focus) byId(`tab-${name}`).focus();
}

export const redrawTab = () => showTab(openTab());
export const tabAt = (number) => tabs()[number]?.name;

export function drawTabs() {
  const held = byId("tabs").contains(document.activeElement);
  byId("tabs").replaceChildren(
    ...tabs().map(({ name, word, able }) => {
      const chosen = name === open?.name;
      const props = { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel", class: able() ? "" : "off" };
      const button = el("button", { ...props, click: () => showTab(name, true) }, t(word));
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      return button;
    }),
  );
  if (held) byId(`tab-${open?.name}`)?.focus();
}

function arrows(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step && event.key !== "Home" && event.key !== "End") return;
  event.preventDefault();
  const all = tabs();
  const at = all.findIndex(({ name }) => name === open?.name);
  const to = event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : (at + step + all.length) % all.length;
  showTab(all[to].name, true);
}

export function startTabs() {
  byId("tabs").addEventListener("keydown", arrows);
  on("settled", () => open?.settled?.());
  on("translated", () => open?.translated?.());
}
