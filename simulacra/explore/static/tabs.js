// The tabs beside the picture. A panel is drawn when its tab is chosen, and updated when the picture has settled.
import { t } from "./messages.js";
import { byId, el, offNote } from "./parts.js";
import { on } from "./state.js";
import { tabs } from "./tab-list.js";

const modules = {};
let open = null; // {name, settled, close}
let version = 0; // of the newest choice

export const openTab = () => open?.name ?? tabs()[0].name;

export async function showTab(name, focus = false) {
  const mine = ++version;
  const { available, offCode, title } = tabs().find((tab) => tab.name === name);
  let draw = (panel) => panel.append(offNote(t(offCode, { tab: t(title) })));
  if (available() || !offCode) ({ draw } = await (modules[name] ??= import(`./tab-${name}.js`)));
  if (mine !== version) return; // another tab was chosen meanwhile
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
  const focused = byId("tabs").contains(document.activeElement);
  byId("tabs").replaceChildren(
    ...tabs().map(({ name, title, available }) => {
      const selected = name === open?.name;
      const props = { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel", class: available() ? "" : "off" };
      const button = el("button", { ...props, click: () => showTab(name, true) }, t(title));
      button.setAttribute("aria-selected", String(selected));
      button.tabIndex = selected ? 0 : -1;
      return button;
    }),
  );
  if (focused) byId(`tab-${open?.name}`)?.focus();
}

function onArrow(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step && event.key !== "Home" && event.key !== "End") return;
  event.preventDefault();
  const all = tabs();
  const at = all.findIndex(({ name }) => name === open?.name);
  const to = event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : (at + step + all.length) % all.length;
  showTab(all[to].name, true);
}

export function startTabs() {
  byId("tabs").addEventListener("keydown", onArrow);
  on("settled", () => open?.settled?.());
  on("translated", () => open?.translated?.());
}
