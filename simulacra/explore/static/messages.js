// Texts by code in the page's language, from the package's catalogues. Importing this module waits for the first one.
const LANGUAGES = { en: { name: "English", tag: "en" }, zh: { name: "中文", tag: "zh-Hans" } };
const STORAGE = "simulacra.language";

function initialLanguage() {
  let stored = null;
  try {
    stored = localStorage.getItem(STORAGE);
  } catch {
    // storage may be forbidden: the browser's language decides
  }
  return stored in LANGUAGES ? stored : navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

let current = initialLanguage();
let catalogue = await load(current);

async function load(name) {
  const inline = document.getElementById(`messages-${name}`); // in an exhibit, which has no server
  return inline ? JSON.parse(inline.textContent) : (await fetch(`/messages/${name}.json`)).json();
}

export const language = () => current;
export const formatNumber = (number) => number.toLocaleString(current);
export const has = (code) => Object.hasOwn(catalogue, code);

// The text of a code with its {fields} filled in. A text with a plural is {one, other}, chosen by the value `count`.
export function t(code, values = {}) {
  const entry = catalogue[code];
  const text = entry.other ? (values.count === 1 && entry.one) || entry.other : entry;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// The page's own errors are rendered when read, so that they follow the page's language.
export class PageError extends Error {
  constructor(code, values = {}) {
    super();
    this.text = () => t(code, values);
  }

  get message() {
    return this.text();
  }
}

// A length of time in words: "about 12 s", "about 3 min".
export const duration = (seconds) => (seconds < 90 ? t("page.seconds_about", { count: Math.ceil(seconds) }) : t("page.minutes_about", { count: Math.ceil(seconds / 60) }));

// Returns a function from the share that is done to a text with the time left. It starts anew when the share falls.
export function progressMeter() {
  let [start, last] = [performance.now(), 0];
  return (share) => {
    if (share < last) start = performance.now();
    last = share;
    const percent = Math.round(100 * share);
    const seconds = ((performance.now() - start) / 1000) * (1 / share - 1);
    if (share < 0.05 || share === 1) return t("page.progress", { percent });
    return `${t("page.progress", { percent })}${t("page.comma")}${t("page.time_left", { time: duration(seconds) })}`;
  };
}

// {name, tag} of the language that the button switches to.
export const otherLanguage = () => LANGUAGES[current === "en" ? "zh" : "en"];

export async function switchLanguage() {
  const next = current === "en" ? "zh" : "en";
  catalogue = await load(next);
  current = next;
  try {
    localStorage.setItem(STORAGE, current);
  } catch {
    // the choice then lasts as long as the page
  }
}

// The texts that index.html names by code.
export function translatePage() {
  document.documentElement.lang = LANGUAGES[current].tag;
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-title]")) node.title = t(node.dataset.title);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
}
