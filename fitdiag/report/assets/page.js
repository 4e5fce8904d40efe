/* The charts of the page: one uPlot a panel, linked by one crosshair over the same axis. */
(function () {
  "use strict";
  const { logTicks, number, place, placeSteps } = fitdiagNumbers;
  const figure = JSON.parse(document.getElementById("figure").textContent);
  const root = document.documentElement;
  const HEIGHTS = { loss: 330, metric: 200, norm: 210, tasks: 210, lr: 130 };
  const DASHES = { val: [8, 3], peaks: [2, 3], run2: [8, 3], run3: [2, 3], run4: [12, 3, 2, 3], run6: [8, 3], run7: [2, 3], run8: [12, 3, 2, 3] };
  const MARK_DASHES = { onset: [5, 4], pick: [], "late rise": [2, 3] };
  const FULL = span(figure.start, figure.end);
  const plots = [];
  let lit = "";

  function span(start, end) {
    const margin = (end - start) * 0.01 || 0.5;
    return [start - margin, end + margin];
  }

  function color(name) {
    return getComputedStyle(root).getPropertyValue("--" + name).trim();
  }

  /* The nearest place of a curve that holds a value: curves are measured at their own steps. */
  function nearest(values, index) {
    if (index === null || index === undefined) return null;
    for (let away = 0; away < values.length; away++) {
      if (values[index - away] != null) return index - away;
      if (values[index + away] != null) return index + away;
    }
    return null;
  }

  function drawable(values, log) {
    return log ? values.map((value) => (value > 0 ? value : null)) : values;
  }

  /* All curves of a panel over one axis, with the whole run's ends in it. */
  function tabulate(panel, log) {
    const gaps = panel.series.flatMap((series) => series.gaps.flat());
    const places = Array.from(new Set([figure.start, figure.end, ...gaps])).sort((a, b) => a - b);
    const tables = [[places, places.map(() => null)]];
    const parts = [];
    panel.series.forEach((series, index) => {
      const strong = series.smooth.length > 0;
      tables.push([series.raw[0], drawable(series.raw[1], log)]);
      parts.push({ series, index, part: strong ? "raw" : "line" });
      if (!strong) return;
      const [x, middle, low, high] = series.smooth;
      tables.push([x, drawable(high, log), drawable(low, log), drawable(middle, log)]);
      parts.push({ series, index, part: "high" }, { series, index, part: "low" }, { series, index, part: "line" });
    });
    const modes = tables.map((table) => table.map((_, i) => (i ? 1 : 0)));
    modes[0] = [0, 0];
    return { data: uPlot.join(tables, modes), parts };
  }

  /* Whether a curve was not finite at a place. */
  function broken(series, x) {
    return series.gaps.some(([start, end]) => x >= start && x <= end);
  }

  /* Which of a curve's lines passes through what was measured. */
  function measured(series) {
    return series.smooth.length ? "raw" : "line";
  }

  function lineOf(item) {
    const stroke = color(item.series.role);
    const count = item.series.raw[1].filter((value) => value !== null).length;
    const points = { show: count < 3 && item.part === "line", size: 7, fill: stroke };
    if (item.part === "high" || item.part === "low") return { stroke: "transparent", width: 0, points: { show: false } };
    if (item.part === "raw") return { stroke: fade(stroke, 0.4), width: 1, points: { show: false } };
    return { stroke, width: 2, dash: DASHES[item.series.role], points };
  }

  function fade(stroke, opacity) {
    return stroke + Math.round(opacity * 255).toString(16).padStart(2, "0");
  }

  /* ---- what is drawn beneath and above the curves ---- */

  function bounds(u, start, end) {
    const left = Math.max(u.valToPos(start, "x", true), u.bbox.left);
    const right = Math.min(u.valToPos(end, "x", true), u.bbox.left + u.bbox.width);
    return [left, right - left];
  }

  function shade(u, start, end, fill, least) {
    const [left, width] = bounds(u, start, end);
    if (width < 0) return;
    u.ctx.fillStyle = fill;
    u.ctx.fillRect(left, u.bbox.top, Math.max(width, least * devicePixelRatio), u.bbox.height);
  }

  function drawBeneath(panel) {
    return function (u) {
      u.ctx.save();
      panel.spans.forEach((item) => {
        if (item.kind === "settled") shade(u, item.start, item.end, color("settled"), 1);
      });
      panel.spans.forEach((item) => {
        if (item.kind === "evidence" && item.code === lit) shade(u, item.start, item.end, color("lit"), 6);
      });
      panel.series.forEach((series) => {
        series.gaps.forEach(([start, end]) => shade(u, start, end, fade(color("ink"), 0.07), 2));
      });
      u.ctx.restore();
    };
  }

  function drawAbove(panel, first) {
    return function (u) {
      const ratio = devicePixelRatio;
      u.ctx.save();
      u.ctx.lineWidth = ratio;
      drawGaps(u, panel, ratio);
      u.ctx.strokeStyle = color("ink");
      figure.marks.forEach((mark) => {
        const x = u.valToPos(mark.x, "x", true);
        if (x < u.bbox.left - 1 || x > u.bbox.left + u.bbox.width + 1) return;
        u.ctx.setLineDash(MARK_DASHES[mark.kind].map((length) => length * ratio));
        u.ctx.beginPath();
        u.ctx.moveTo(x, u.bbox.top);
        u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
        u.ctx.stroke();
      });
      u.ctx.setLineDash([]);
      if (first) writeMarks(u, ratio);
      panel.points.forEach((point) => drawPoint(u, panel, point, ratio));
      u.ctx.restore();
    };
  }

  function drawGaps(u, panel, ratio) {
    u.ctx.strokeStyle = color("ink");
    panel.series.forEach((series) => {
      series.gaps.forEach(([start]) => {
        const x = u.valToPos(start, "x", true);
        if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return;
        const y = u.bbox.top + 8 * ratio, r = 3.5 * ratio;
        u.ctx.beginPath();
        u.ctx.moveTo(x - r, y - r); u.ctx.lineTo(x + r, y + r);
        u.ctx.moveTo(x + r, y - r); u.ctx.lineTo(x - r, y + r);
        u.ctx.stroke();
      });
    });
  }

  /* The words of the marks above the first panel; where they would meet, one goes a line higher. */
  function writeMarks(u, ratio) {
    const left = u.bbox.left, right = left + u.bbox.width;
    const named = figure.marks
      .filter((mark) => mark.kind !== "late rise")
      .map((mark) => ({ ...mark, at: u.valToPos(mark.x, "x", true) }))
      .filter((mark) => mark.at >= left && mark.at <= right)
      .sort((a, b) => a.at - b.at);
    let reach = -Infinity;
    u.ctx.fillStyle = color("ink");
    u.ctx.textBaseline = "bottom";
    u.ctx.textAlign = "left";
    named.forEach((mark, index) => {
      u.ctx.font = (mark.kind === "pick" ? "650 " : "") + 12.5 * ratio + "px " + color("sans");
      const width = u.ctx.measureText(mark.label).width;
      const leans = named.length > 1 && index === 0;
      let start = leans ? mark.at - width - 4 * ratio : mark.at - 2 * ratio;
      start = Math.min(Math.max(start, left), u.width * ratio - width - 2 * ratio);
      const level = start < reach + 8 * ratio ? 1 : 0;
      reach = start + width;
      u.ctx.fillText(mark.label, start, u.bbox.top - (3 + 15 * level) * ratio);
    });
  }

  const SHAPES = {
    pick: [[0, -6.5], [6.5, 0], [0, 6.5], [-6.5, 0]],
    argmin: [[-5, -4], [5, -4], [0, 5]],
    peak: [[-5, 4], [5, 4], [0, -5]],
    last: [[-4, -4], [4, -4], [4, 4], [-4, 4]],
  };

  function drawPoint(u, panel, point, ratio) {
    const x = u.valToPos(point.x, "x", true), y = u.valToPos(point.y, "y", true);
    const { left, top, width, height } = u.bbox;
    if (!(x >= left - 2 && x <= left + width + 2 && y >= top - 2 && y <= top + height + 2)) return;
    const pick = point.kind === "pick";
    u.ctx.fillStyle = color(pick ? "pick" : "paper");
    u.ctx.strokeStyle = color(pick ? "pick-edge" : "ink");
    u.ctx.lineWidth = 1.4 * ratio;
    u.ctx.beginPath();
    const shape = SHAPES[point.kind];
    if (shape) shape.forEach(([dx, dy]) => u.ctx.lineTo(x + dx * ratio, y + dy * ratio));
    else u.ctx.arc(x, y, 4 * ratio, 0, 2 * Math.PI);
    u.ctx.closePath();
    u.ctx.fill();
    u.ctx.stroke();
  }

  /* ---- scales and axes ---- */

  function rangeOf(holder) {
    return function (u, low, high) {
      const { panel, log } = holder;
      if (log === panel.log && !holder.hidden && holder.whole) return panel.view;
      if (low === null || high === null || !isFinite(low) || !isFinite(high)) return panel.view;
      if (log) {
        const factor = Math.max(Math.pow(high / low, 0.06), 1.06);
        return [low / factor, high * factor];
      }
      const margin = (high - low) * 0.06 || Math.abs(high) * 0.06 || 1;
      return [low - margin, high + margin];
    };
  }

  function axesOf(panel, last, log) {
    const plain = { stroke: color("muted"), font: "12px " + color("sans"), labelFont: "12px " + color("sans") };
    const grid = { stroke: color("rule"), width: 1 }, ticks = { stroke: color("rule"), width: 1, size: 5 };
    const own = { splits: (u, at, low, high) => logTicks(low, high, 6), filter: (u, all) => all };
    const few = panel.key === "lr" ? 28 : 38;
    return [
      { ...plain, grid, ticks, space: 70, incrs: (u, at, low, high) => placeSteps(low, high), size: last ? 30 : 12, label: last ? figure.axis : undefined, labelSize: last ? 20 : 0,
        values: (u, all) => all.map((value) => (last && value !== null ? place(value) : "")) },
      { ...plain, grid, ticks, space: few, size: 66, ...(log ? own : {}), values: (u, all) => all.map((value) => (value === null ? "" : number(value))) },
    ];
  }

  /* ---- one panel ---- */

  function build(holder) {
    const { panel, box } = holder;
    const { data, parts } = tabulate(panel, holder.log);
    holder.parts = parts;
    const bands = [];
    parts.forEach((item, at) => {
      if (item.part === "high") bands.push({ series: [at + 2, at + 3], fill: fade(color(item.series.role), 0.14) });
    });
    const options = {
      width: Math.max(box.clientWidth, 200),
      height: HEIGHTS[panel.key] + (holder.first ? 24 : 0),
      padding: [holder.first ? 38 : 10, 14, 0, 0],
      legend: { show: false },
      focus: { alpha: 1 },
      cursor: {
        sync: { key: "fitdiag", scales: ["x", null] },
        drag: { x: true, y: false, dist: 6 },
        y: false,
        points: { size: 8 },
        dataIdx: (u, at, index) => (at === 0 ? index : nearest(u.data[at], index)),
      },
      scales: {
        x: { time: false, range: (u, low, high) => {
          holder.whole = low === high || (low <= figure.start && high >= figure.end);
          return holder.whole ? FULL : [low, high];
        } },
        y: { distr: holder.log ? 3 : 1, range: rangeOf(holder) },
      },
      axes: axesOf(panel, holder.last, holder.log),
      bands,
      series: [{}, { show: false }, ...parts.map((item) => ({ ...lineOf(item), show: !holder.off.has(item.index), spanGaps: false }))],
      hooks: { drawClear: [drawBeneath(panel)], draw: [drawAbove(panel, holder.first)], setCursor: [() => read(holder)] },
    };
    options.cursor.points.show = (u, at) => {
      const item = parts[at - 2];
      const dot = document.createElement("div");
      dot.className = "u-cursor-pt";
      if (!item || item.part !== measured(item.series)) dot.style.display = "none";
      return dot;
    };
    options.cursor.points.fill = (u, at) => (parts[at - 2] ? color(parts[at - 2].series.role) : "transparent");
    holder.plot = new uPlot(options, data, box);
  }

  /* Write the values under the crosshair beside the names; without one, the last values. */
  function read(holder) {
    const u = holder.plot;
    if (!u) return;
    const index = u.cursor.idx;
    holder.parts.forEach((item, at) => {
      if (item.part !== measured(item.series)) return;
      const values = u.data[at + 2];
      const found = nearest(values, index === null || index === undefined ? values.length - 1 : index);
      const lost = index !== null && index !== undefined && broken(item.series, u.data[0][index]);
      holder.outputs[item.index].textContent = lost ? "NaN or inf" : found === null ? "" : number(values[found]);
    });
    if (holder.first) {
      const away = index === null || index === undefined;
      holder.moment.textContent = away ? "last values" : figure.axis.toLowerCase() + " " + place(u.data[0][index]);
    }
  }

  function rebuild(holder) {
    const { min, max } = holder.plot.scales.x, zoom = !holder.whole;
    holder.plot.destroy();
    build(holder);
    if (zoom) holder.plot.setScale("x", { min, max });
    read(holder);
  }

  function addNames(holder, caption) {
    const list = caption.querySelector(".names");
    holder.outputs = holder.panel.series.map((series, index) => {
      const item = list.children[index];
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      button.title = "Show or hide " + series.label;
      const output = document.createElement("output");
      button.append(...item.childNodes, output);
      item.append(button);
      button.addEventListener("click", () => toggle(holder, index, button));
      return output;
    });
    if (holder.first) {
      holder.moment = document.createElement("output");
      holder.moment.className = "moment";
      caption.append(holder.moment);
    }
    const positive = holder.panel.series.every((series) => series.raw[1].every((value) => value === null || value > 0));
    if (!positive || holder.panel.key === "lr" || holder.panel.key === "metric") return;
    const scale = document.createElement("button");
    scale.type = "button";
    scale.className = "scale";
    const name = () => { scale.textContent = holder.log ? "Linear scale" : "Log scale"; };
    name();
    scale.addEventListener("click", () => { holder.log = !holder.log; name(); rebuild(holder); });
    caption.append(scale);
  }

  function toggle(holder, index, button) {
    const off = holder.off;
    if (off.has(index)) off.delete(index); else off.add(index);
    button.setAttribute("aria-pressed", String(!off.has(index)));
    holder.hidden = off.size > 0;
    holder.parts.forEach((item, at) => {
      if (item.index === index) holder.plot.setSeries(at + 2, { show: !off.has(index) });
    });
  }

  function move(holder, event) {
    const u = holder.plot, xs = u.data[0];
    if (event.key === "Escape") {
      plots.forEach((other) => other.plot.setScale("x", { min: FULL[0], max: FULL[1] }));
      return;
    }
    const leap = event.shiftKey ? Math.max(1, Math.round(xs.length / 20)) : 1;
    const now = u.cursor.idx ?? xs.length - 1;
    const next = { ArrowLeft: now - leap, ArrowRight: now + leap, Home: 0, End: xs.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const x = xs[Math.min(Math.max(next, 0), xs.length - 1)];
    plots.forEach((other) => {
      other.plot.setCursor({ left: other.plot.valToPos(x, "x"), top: 20 });
    });
  }

  function start() {
    root.classList.add("js");
    figure.panels.forEach((panel, index) => {
      const node = document.querySelector('[data-panel="' + index + '"]');
      const holder = { panel, box: node.querySelector(".live"), first: index === 0, last: index === figure.panels.length - 1,
        log: panel.log, off: new Set(), hidden: false, whole: true, plot: null };
      plots.push(holder);
      addNames(holder, node.querySelector("figcaption"));
      build(holder);
      read(holder);
      holder.box.addEventListener("keydown", (event) => move(holder, event));
      new ResizeObserver(() => {
        const width = holder.box.clientWidth;
        if (width > 0 && width !== holder.plot.width) holder.plot.setSize({ width, height: holder.plot.height });
      }).observe(holder.box);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach(rebuild));
    document.querySelectorAll("[data-code]").forEach((node) => {
      const light = (code) => () => { lit = code; plots.forEach((holder) => holder.plot.redraw(false)); };
      ["mouseenter", "focusin"].forEach((name) => node.addEventListener(name, light(node.dataset.code)));
      ["mouseleave", "focusout"].forEach((name) => node.addEventListener(name, light("")));
    });
  }

  start();
})();
