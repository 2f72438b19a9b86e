// The plane on a canvas: D's field as colours, reals and fakes as points.
import { el } from "/static/parts.js";

const SIDE = 640; // pixels of the canvas, which the page scales
const DOT = 2.4; // radius of a point, in those pixels
const DARK = matchMedia("(prefers-color-scheme: dark)");
// Blue is real and orange is fake everywhere: colour-blind readers tell them apart, too.
const COLOURS = {
  light: { field: ["#f5c49a", "#ffffff", "#9fc3e6"], real: "#0b3c6f", fake: "#c04a00" },
  dark: { field: ["#6e3b12", "#17181b", "#12477a"], real: "#a5d4ff", fake: "#ffb27a" },
};

const channels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

// 256 colours from the first over the middle one to the last.
function ramp(field) {
  const [low, middle, high] = field.map(channels);
  return Array.from({ length: 256 }, (_, level) => {
    const [from, to, share] = level < 128 ? [low, middle, level / 127.5] : [middle, high, level / 127.5 - 1];
    return from.map((value, i) => Math.round(value + (to[i] - value) * share));
  });
}

export function plane(extent, mesh) {
  const canvas = el("canvas", { width: SIDE, height: SIDE, class: "plane", role: "img" });
  const context = canvas.getContext("2d");
  const small = new OffscreenCanvas(mesh, mesh);
  const place = (value) => ((value + extent) / (2 * extent)) * SIDE;
  let redraw = () => {};

  function drawField(levels, colours) {
    const image = new ImageData(mesh, mesh);
    for (let row = 0; row < mesh; row++) {
      for (let column = 0; column < mesh; column++) {
        const colour = colours[levels[(mesh - 1 - row) * mesh + column]]; // rows come from below
        image.data.set([...colour, 255], 4 * (row * mesh + column));
      }
    }
    small.getContext("2d").putImageData(image, 0, 0);
    const cell = SIDE / (mesh - 1); // the outer points of the mesh lie on the edges of the plane
    context.drawImage(small, -cell / 2, -cell / 2, cell * mesh, cell * mesh);
  }

  function drawPoints(points, colour, alpha) {
    context.fillStyle = colour;
    context.globalAlpha = alpha;
    context.beginPath();
    for (let i = 0; i < points.length; i += 2) {
      const [x, y] = [place(points[i]), SIDE - place(points[i + 1])];
      context.moveTo(x + DOT, y);
      context.arc(x, y, DOT, 0, 2 * Math.PI);
    }
    context.fill();
    context.globalAlpha = 1;
  }

  function draw(levels, reals, fakes) {
    redraw = () => {
      const colours = COLOURS[DARK.matches ? "dark" : "light"];
      drawField(levels, ramp(colours.field));
      drawPoints(reals, colours.real, 0.9);
      drawPoints(fakes, colours.fake, 0.8);
    };
    redraw();
  }

  const onScheme = () => redraw();
  DARK.addEventListener("change", onScheme);
  return { canvas, draw, close: () => DARK.removeEventListener("change", onScheme) };
}
