// Small parts that the whole page is made of.

// An element: props are attributes, or listeners where they are functions; children are nodes and texts.
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null && child !== false));
  return made;
}

export function svg(tag, props = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(props)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);

let serial = 0;
export const fresh = (word) => `${word}-${++serial}`;

// A slider with its name and its value. input: while it is moved; change: once it is let go.
// The track is filled from `zero` to the value.
export function slider({ name, label = name, min, max, step, value, zero = 0, digits = 2, title, input, change }) {
  const id = fresh("slider");
  const range = el("input", { type: "range", id, min, max, step });
  const shown = el("output", { for: id });
  const place = (number) => `${(100 * (Math.min(max, Math.max(min, number)) - min)) / (max - min)}%`;
  const paint = (number) => {
    shown.value = `${number > 0 && min < 0 ? "+" : ""}${number.toFixed(digits)}`.replace("-", "−");
    range.setAttribute("aria-valuetext", shown.value);
    range.style.setProperty("--a", place(Math.min(number, zero)));
    range.style.setProperty("--b", place(Math.max(number, zero)));
  };
  const set = (number) => {
    range.value = number;
    paint(number);
  };
  range.addEventListener("input", () => {
    paint(range.valueAsNumber);
    input(range.valueAsNumber);
  });
  range.addEventListener("change", () => change?.(range.valueAsNumber));
  range.addEventListener("dblclick", () => {
    set(zero);
    input(zero);
    change?.(zero);
  });
  set(value);
  const row = el("div", { class: "slider" }, el("label", { for: id, title }, label), shown, range);
  return { row, range, set };
}

// Runs `work` for the newest thing wanted: one at a time, what came between is skipped. turn: told when busy, and when not.
export function latest(work, turn = () => {}) {
  let busy = false;
  let next = null;
  return async function want(thing) {
    next = { thing };
    if (busy) return;
    busy = true;
    turn(true);
    while (next) {
      const { thing: now } = next;
      next = null;
      await work(now);
    }
    busy = false;
    turn(false);
  };
}

// A canvas with one picture of a sheet.
export function tile(bitmap, index, columns, width, height) {
  const canvas = el("canvas", { width, height, "aria-hidden": "true" });
  const x = (index % columns) * width;
  const y = Math.floor(index / columns) * height;
  canvas.getContext("2d").drawImage(bitmap, x, y, width, height, 0, 0, width, height);
  return canvas;
}

export function select(label, options, value, change, props = {}) {
  const made = el("select", { "aria-label": label, change: () => change(made.value), ...props });
  for (const [name, text] of options) made.append(el("option", { value: name }, text));
  made.value = value;
  return made;
}

// What cannot be done, and why.
export const why = (text) => el("p", { class: "why" }, text);

export function say(text) {
  const toast = byId("toast");
  toast.textContent = text;
  toast.classList.add("on");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => toast.classList.remove("on"), 4000);
}
