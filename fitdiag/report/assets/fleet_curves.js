/* Small pictures of a run's curves, drawn when they come into view. */
const fitdiagCurves = (function () {
  "use strict";
  const { data } = fitdiagFleet;
  const places = new Map(Array.from(data.digits).map((digit, at) => [digit, at]));
  const top = data.digits.length - 1;
  const SPACE = "http://www.w3.org/2000/svg";

  function shape(name, attributes) {
    const made = document.createElementNS(SPACE, name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    return made;
  }

  /* A curve's line, which is broken where a value is not finite; a lone point becomes a dot. */
  function trace(text, width, height, margin) {
    let line = "", pen = false, alone = false;
    for (let at = 0; at + 1 < text.length; at += 2) {
      const x = places.get(text[at]), y = places.get(text[at + 1]);
      if (x === undefined || y === undefined) { if (alone) line += "h.01"; pen = alone = false; continue; }
      line += (pen ? "L" : "M") + (margin + (x / top) * (width - 2 * margin)).toFixed(1) + " " + (height - margin - (y / top) * (height - 2 * margin)).toFixed(1);
      alone = !pen;
      pen = true;
    }
    return alone ? line + "h.01" : line;
  }

  /* The height of the validation curve, or else of the other, nearest to a place. */
  function nearest(text, x) {
    const parts = text.slice(2).split("|"), part = parts[1] || parts[0];
    let best = 0, away = Infinity;
    for (let at = 0; at + 1 < part.length; at += 2) {
      const gap = Math.abs(places.get(part[at]) - x), y = places.get(part[at + 1]);
      if (y !== undefined && gap < away) [best, away] = [y, gap];
    }
    return best;
  }

  function picture(row, width, height) {
    const text = data.curves[row];
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, class: "curves", "aria-hidden": "true", focusable: "false" });
    if (!text) return svg;
    const margin = 3, place = (digit) => (margin + (places.get(digit) / top) * (width - 2 * margin)).toFixed(1);
    [["onset", text[1]], ["pick", text[0]]].forEach(([kind, digit]) => {
      if (places.has(digit)) svg.append(shape("path", { class: "mark " + kind, d: `M${place(digit)} 0V${height}` }));
    });
    text.slice(2).split("|").forEach((part, at) => {
      const group = shape("g", { class: at ? "val" : "train" });
      group.append(shape("path", { class: "line", d: trace(part, width, height, margin) }));
      svg.append(group);
    });
    if (places.has(text[0])) {
      const y = height - margin - (nearest(text, places.get(text[0])) / top) * (height - 2 * margin);
      svg.append(shape("path", { class: "point pick", d: `M${place(text[0])} ${(y - 4).toFixed(1)}l4 4l-4 4l-4 -4z` }));
    }
    return svg;
  }

  return { picture };
})();
