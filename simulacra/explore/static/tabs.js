// The tabs beside the picture. A panel is drawn when its tab is chosen, and told when the picture has settled.
import { byId, el } from "./parts.js";
import { on, state } from "./state.js";
import { t } from "./words.js";

const TABS = [
  { name: "directions", word: "tabDirections", able: () => true },
  { name: "mix", word: "tabMix", able: () => true },
  { name: "photo", word: "tabPhoto", able: () => true },
  { name: "walk", word: "tabWalk", able: () => true },
  { name: "numbers", word: "tabNumbers", able: () => true },
  { name: "runs", word: "tabRuns", able: () => state.facts?.run },
];

const loaded = {};
let open = null; // {name, settled, close}
let turn = 0;

export const openTab = () => open?.name ?? "directions";

export async function showTab(name, focus = false) {
  const mine = ++turn;
  loaded[name] ??= import(`./tab-${name}.js`);
  const { draw } = await loaded[name];
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
export const tabAt = (number) => TABS[number]?.name;

export function drawTabs() {
  const held = byId("tabs").contains(document.activeElement);
  byId("tabs").replaceChildren(
    ...TABS.map(({ name, word, able }) => {
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
  const at = TABS.findIndex(({ name }) => name === open?.name);
  const to = event.key === "Home" ? 0 : event.key === "End" ? TABS.length - 1 : (at + step + TABS.length) % TABS.length;
  showTab(TABS[to].name, true);
}

export function startTabs() {
  byId("tabs").addEventListener("keydown", arrows);
  on("settled", () => open?.settled?.());
}
