// A small line chart as SVG. lines: [{points: [[x, y], …], band: [[x, low, high], …], mark: x, name}]; mark: the x that gets
// a dot. low, high: the ends of the vertical axis; by default those of the values.
import { formatNumber } from "./messages.js";
import { el, svg, uniqueId } from "./parts.js";

const WIDE = 380;
const TALL = 140;
const EDGE = { left: 52, right: 10, top: 10, bottom: 22 };

const format = (value) => (Math.abs(value) >= 100 ? formatNumber(Math.round(value)) : String(Number(value.toPrecision(3))));

export function chart(title, lines, { low, high } = {}) {
  const xs = lines.flatMap(({ points }) => points.map(([x]) => x));
  const ys = lines.flatMap(({ points, band = [] }) => [...points.map(([, y]) => y), ...band.flatMap(([, low, high]) => [low, high])]);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), low ?? Math.min(...ys), high ?? Math.max(...ys)];
  const x = (value) => EDGE.left + ((WIDE - EDGE.left - EDGE.right) * (value - x0)) / (x1 - x0 || 1);
  const y = (value) => TALL - EDGE.bottom - ((TALL - EDGE.top - EDGE.bottom) * (value - y0)) / (y1 - y0 || 1);
  const path = (points) => points.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
  const id = uniqueId("chart");
  const picture = svg("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, role: "img", "aria-labelledby": id, class: "chart" });
  for (const value of [y0, y1]) {
    picture.append(svg("line", { x1: EDGE.left, x2: WIDE - EDGE.right, y1: y(value), y2: y(value), class: "grid" }));
    picture.append(svg("text", { x: EDGE.left - 6, y: y(value) + 4, "text-anchor": "end" }, format(value)));
  }
  picture.append(svg("text", { x: EDGE.left, y: TALL - 5 }, format(x0)));
  picture.append(svg("text", { x: WIDE - EDGE.right, y: TALL - 5, "text-anchor": "end" }, format(x1)));
  lines.forEach(({ points, band, mark, name }, i) => {
    if (band?.length) {
      const reversed = band.toReversed();
      picture.append(svg("path", { d: `${path(band.map(([a, low]) => [a, low]))}L${path(reversed.map(([a, , high]) => [a, high])).slice(1)}Z`, class: `band c${i}` }));
    }
    picture.append(svg("path", { d: path(points), class: `line c${i}` }));
    const point = points.find(([a]) => a === mark);
    if (point) picture.append(svg("circle", { cx: x(point[0]), cy: y(point[1]), r: 4.5, class: `dot c${i}` }));
    if (name) picture.append(svg("text", { x: WIDE - EDGE.right - 16 * (lines.length - i - 1), y: EDGE.top + 8, "text-anchor": "end", class: `c${i}` }, name));
  });
  return el("figure", { class: "curve" }, el("figcaption", { id }, title), picture);
}
