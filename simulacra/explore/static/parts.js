// Small parts that the whole page is made of.

// An element. props: attributes, or listeners where they are functions; children: nodes and texts.
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null && child !== false));
  return node;
}

export function svg(tag, props = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(props)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export const byId = (id) => document.getElementById(id);

let serial = 0;
export const uniqueId = (word) => `${word}-${++serial}`;

// A slider with its name and its value. input: called while it moves; change: once it is released.
// The track is filled from `zero` to the value. format: the value's text, where it is not its number with `digits`.
export function slider({ name, label = name, min, max, step, value, zero = 0, digits = 2, format, title, input, change }) {
  const id = uniqueId("slider");
  const range = el("input", { type: "range", id, min, max, step });
  const output = el("output", { for: id });
  const place = (number) => `${(100 * (Math.min(max, Math.max(min, number)) - min)) / (max - min)}%`;
  const paint = (number) => {
    output.value = format?.(number) ?? `${number > 0 && min < 0 ? "+" : ""}${number.toFixed(digits)}`.replace("-", "−");
    range.setAttribute("aria-valuetext", output.value);
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
  const row = el("div", { class: "slider" }, el("label", { for: id, title }, label), output, range);
  return { row, range, set };
}

// Returns a function that runs `work` for its newest argument: one at a time, arguments in between are skipped.
// onBusy: called with whether it is running.
export function latest(work, onBusy = () => {}) {
  let busy = false;
  let next = null;
  return async function request(argument) {
    next = { argument };
    if (busy) return;
    busy = true;
    onBusy(true);
    while (next) {
      const { argument: newest } = next;
      next = null;
      await work(newest);
    }
    busy = false;
    onBusy(false);
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
  const node = el("select", { "aria-label": label, change: () => change(node.value), ...props });
  for (const [name, text] of options) node.append(el("option", { value: name }, text));
  node.value = value;
  return node;
}

// A note that says why something is off.
export const offNote = (text) => el("p", { class: "why" }, text);

// A short message at the bottom of the page.
export function toast(text) {
  const node = byId("toast");
  node.textContent = text;
  node.classList.add("on");
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => node.classList.remove("on"), 4000);
}
