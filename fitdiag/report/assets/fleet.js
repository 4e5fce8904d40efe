/* The page of a fleet: filters, the two views, and one run in full. */
(function () {
  "use strict";
  const { altered, count, data, endOf, find, linkOf, nameOf, order, pathOf, prepare, say, settingOf, unreadable, valueOf } = fitdiagFleet;
  const { number, place } = fitdiagNumbers;
  const byId = (name) => document.getElementById(name);
  const PRINTED = 300;
  const wanted = { search: "", ends: new Set(), gradient: "", code: "" };
  const sorting = { name: "val_best", down: false };
  const shown = data.settings.filter((column) => column.values.length > 1 || column.at !== null);
  const telling = JSON.parse(byId("telling").textContent).filter((name) => shown.some((column) => column.name === name));
  const extra = telling.concat(shown.filter(common).map((column) => column.name).filter((name) => !telling.includes(name))).slice(0, 3);
  let view = "table";
  document.documentElement.classList.add("js");

  /* A setting is worth a column if most runs have it, and many share a value. */
  function common(column) {
    const known = column.at === null ? 0 : column.at.filter((at) => at >= 0).length;
    return 2 * known >= count && column.values.length > 1 && 2 * column.values.length <= known;
  }

  function element(name, kind, text) {
    const made = document.createElement(name);
    if (kind) made.className = kind;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function plain(text) {
    return element("bdi", "", text);
  }

  function figure(name, row) {
    const column = data.numbers[name];
    return column ? column[row] : null;
  }

  function percent(share) {
    return share === null || share === undefined ? "" : (100 * share).toFixed(share && share < 0.1 ? 1 : 0) + "%";
  }

  function when(step, epoch, row) {
    if (epoch !== null && epoch !== undefined) return "epoch " + place(epoch);
    if (step === null || step === undefined) return "";
    return (valueOf(data.unit, row) || "step") + " " + place(step);
  }

  function badge(row) {
    const end = data.ends[endOf(row)], made = element("span", "chip " + end.tone), mark = element("span", "", end.mark);
    mark.setAttribute("aria-hidden", "true");
    made.append(mark, " " + end.title);
    return made;
  }

  function title(row) {
    const link = linkOf(row), made = element(link ? "a" : "span", "title");
    if (link) { made.setAttribute("href", link); made.tabIndex = -1; }
    made.append(plain(nameOf(row)));
    return made;
  }

  /* ---- lines of the table, and cards ---- */

  const COLUMNS = [
    { key: "end", kind: "c-end", head: "Verdict", fill: (cell, row) => cell.append(badge(row)) },
    { key: "name", kind: "c-name", head: "Run", fill: (cell, row) => {
      const path = element("span", "path");
      const whole = pathOf(row) === nameOf(row) ? valueOf(data.format, row) : pathOf(row);
      path.append(plain(data.reason[row] && endOf(row) === unreadable ? data.reason[row] : whole));
      cell.append(title(row), path);
    } },
    { key: "", kind: "c-curves", head: "Loss", fill: (cell, row) => cell.append(fitdiagCurves.picture(row, 132, 42)) },
    { key: "val_best", kind: "c-number", head: "Best val", fill: (cell, row) => cell.append(number(figure("val_best", row))) },
    { key: "val_final", kind: "c-number c-third", head: "Final val", fill: (cell, row) => cell.append(number(figure("val_final", row))) },
    { key: "gap", kind: "c-number c-third", head: "Gap", fill: (cell, row) => cell.append(number(figure("gap", row))) },
    { key: "pick_step", kind: "c-pick c-second", head: "Keep", fill: (cell, row) => cell.append(when(figure("pick_step", row), figure("pick_epoch", row), row)) },
    { key: "regret", kind: "c-number c-third", head: "Regret", fill: (cell, row) => cell.append(percent(figure("regret", row))) },
    { key: "gradient", kind: "c-word c-third", head: "Gradients", fill: (cell, row) => cell.append(endOf(row) === unreadable ? "" : valueOf(data.gradient, row)) },
    { key: "findings", kind: "c-codes c-third", head: "Findings", fill: (cell, row) => cell.append(valueOf(data.codes, row).split(" ").slice(0, 4).join(" ")) },
  ].concat(extra.map((name) => ({ key: "config." + name, kind: "c-word c-setting", head: name, fill: (cell, row) => cell.append(plain(say(settingOf(name, row)))) })));

  function line(row, at) {
    const made = element("div", "line " + data.ends[endOf(row)].tone);
    made.setAttribute("role", "row");
    made.setAttribute("aria-rowindex", at + 2);
    COLUMNS.forEach((column) => {
      const cell = element("div", "cell " + column.kind);
      cell.setAttribute("role", "cell");
      column.fill(cell, row);
      made.append(cell);
    });
    made.dataset.row = row;
    return made;
  }

  function card(row) {
    const made = element("div", "tile"), inner = element("div", "inner " + data.ends[endOf(row)].tone), foot = element("p", "foot");
    made.setAttribute("role", "listitem");
    const best = figure("val_best", row);
    foot.append(badge(row), element("span", "figure", best === null || best === undefined ? "" : number(best)));
    inner.append(title(row), fitdiagCurves.picture(row, 240, 96), foot);
    made.append(inner);
    made.dataset.row = row;
    return made;
  }

  /* ---- one run in full ---- */

  function fact(list, name, value) {
    if (value === "" || value === null || value === undefined) return;
    const pair = element("div");
    const held = element("dd");
    held.append(plain(value));
    pair.append(element("dt", "", name), held);
    list.append(pair);
  }

  function quote(path) {
    return /^[\w./+,:@%-]+$/.test(path) && !path.startsWith("-") ? path : "'" + path.replace(/'/g, "'\\''") + "'";
  }

  function facts(row) {
    const list = element("dl", "facts");
    fact(list, "Best validation loss", number(figure("val_best", row)));
    fact(list, "at", when(figure("val_best_step", row), null, row));
    fact(list, "Final validation loss", number(figure("val_final", row)));
    fact(list, "Final training loss", number(figure("train_final", row)));
    fact(list, "Checkpoint to keep", when(figure("pick_step", row), figure("pick_epoch", row), row));
    fact(list, "Loss there", number(figure("pick_loss", row)));
    fact(list, "Regret", percent(figure("regret", row)));
    fact(list, "Turned at", when(figure("onset", row), null, row));
    fact(list, "Confidence", percent(figure("confidence", row)));
    fact(list, "Gradients", endOf(row) === unreadable ? "" : valueOf(data.gradient, row));
    fact(list, "Findings", valueOf(data.codes, row));
    fact(list, "Length", [[figure("epochs", row), "epochs"], [valueOf(data.unit, row) === "epoch" ? null : figure("steps", row), (valueOf(data.unit, row) || "step") + "s"]].filter(([size]) => size !== null && size !== undefined).map(([size, word]) => place(size) + " " + word).join(", "));
    fact(list, "Format", valueOf(data.format, row));
    fact(list, "Note", data.note[row]);
    return list;
  }

  function open(row) {
    const box = byId("full"), head = element("div", "head"), name = element("h2"), path = element("p", "path");
    const close = element("button", "close", "Close");
    close.type = "button";
    close.addEventListener("click", () => box.close());
    name.append(plain(nameOf(row)));
    path.append(plain(pathOf(row)));
    head.append(badge(row), close);
    const parts = [head, name, path];
    if (data.reason[row]) { const why = element("p", "why"); why.append(plain(data.reason[row])); parts.push(why); }
    if (data.curves[row]) parts.push(fitdiagCurves.picture(row, 620, 200));
    const link = linkOf(row);
    if (link) {
      const way = element("a", "report", "Open this run's report");
      way.setAttribute("href", link);
      parts.push(way);
    } else if (!altered.has(row) && endOf(row) !== unreadable) {
      const way = element("p", "hint-line", "Its report: ");
      way.append(element("code", "", "fitdiag report " + quote(pathOf(row)) + (data.run[row] ? " --run " + data.run[row] : "")));
      parts.push(way);
    }
    parts.push(facts(row));
    const own = element("dl", "facts");
    data.settings.forEach((column) => fact(own, column.name, say(settingOf(column.name, row))));
    if (own.children.length) parts.push(element("h3", "", "Settings"), own);
    box.replaceChildren(...parts);
    box.setAttribute("aria-label", nameOf(row));
    box.showModal();
    box.scrollTop = 0;
  }

  /* ---- the two views and the filters ---- */

  const frame = byId("frame"), body = byId("rows"), header = byId("header");
  const list = fitdiagList(frame, body, (row, at) => (view === "table" ? line(row, at) : card(row)));

  function updateHeader() {
    header.querySelectorAll("[data-key]").forEach((cell) => {
      const on = cell.dataset.key === sorting.name;
      cell.setAttribute("aria-sort", on ? (sorting.down ? "descending" : "ascending") : "none");
      cell.querySelector(".arrow").textContent = on ? (sorting.down ? "▼" : "▲") : "";
    });
    byId("sort").value = sorting.name;
    byId("direction").textContent = sorting.down ? "▼ falling" : "▲ rising";
  }

  function update(keep) {
    const found = find(order(sorting.name, sorting.down), wanted);
    byId("tally").textContent = found.length === count ? count.toLocaleString("en-US") + " runs" : found.length.toLocaleString("en-US") + " of " + count.toLocaleString("en-US") + " runs";
    if (view === "table") frame.setAttribute("aria-rowcount", found.length + 1);
    else frame.removeAttribute("aria-rowcount");
    byId("none").hidden = found.length > 0;
    updateHeader();
    list.show(found, keep);
    return found.length;
  }

  function sortBy(name) {
    if (sorting.name === name) sorting.down = !sorting.down;
    else { sorting.name = name; sorting.down = false; }
    update();
  }

  COLUMNS.forEach((column) => {
    const cell = element("div", "cell " + column.kind);
    cell.setAttribute("role", "columnheader");
    if (column.key) {
      const button = element("button", "by");
      button.type = "button";
      button.append(plain(column.head), element("span", "arrow"));
      button.title = "Sort by " + column.head;
      button.addEventListener("click", () => sortBy(column.key));
      cell.dataset.key = column.key;
      cell.append(button);
    } else cell.append(column.head);
    header.append(cell);
  });

  [["val_best", "best validation loss"], ["val_final", "final validation loss"], ["train_final", "final training loss"], ["gap", "gap"], ["regret", "regret"], ["confidence", "confidence"], ["pick_step", "checkpoint to keep"], ["onset", "where it turned"], ["epochs", "epochs"], ["steps", "steps"], ["findings", "number of findings"], ["gradient", "gradients"], ["end", "verdict"], ["name", "name"]]
    .filter(([key]) => data.numbers[key] || ["findings", "gradient", "end", "name"].includes(key))
    .concat(shown.map((column) => ["config." + column.name, column.name]))
    .forEach(([key, words]) => byId("sort").append(new Option(words, key)));
  if (!data.numbers.val_best) sorting.name = "end";

  byId("search").addEventListener("input", (event) => { wanted.search = event.target.value; update(); });
  byId("sort").addEventListener("change", (event) => { sorting.name = event.target.value; update(); });
  byId("direction").addEventListener("click", () => { sorting.down = !sorting.down; update(); });
  byId("gradient").addEventListener("change", (event) => { wanted.gradient = event.target.value; update(); });
  byId("code").addEventListener("change", (event) => { wanted.code = event.target.value; update(); });
  document.querySelectorAll("[data-end]").forEach((button) => button.addEventListener("click", () => {
    const end = Number(button.dataset.end), on = !wanted.ends.has(end);
    if (on) wanted.ends.add(end);
    else wanted.ends.delete(end);
    button.setAttribute("aria-pressed", on);
    update();
  }));
  byId("clear").addEventListener("click", () => {
    Object.assign(wanted, { search: "", gradient: "", code: "" });
    wanted.ends.clear();
    ["search", "gradient", "code"].forEach((name) => { byId(name).value = ""; });
    document.querySelectorAll("[data-end]").forEach((button) => button.setAttribute("aria-pressed", "false"));
    update();
    byId("search").focus();
  });
  ["table", "tiles"].forEach((name) => byId("as-" + name).addEventListener("click", () => {
    view = name;
    ["table", "tiles"].forEach((other) => byId("as-" + other).setAttribute("aria-pressed", other === name));
    frame.className = "frame as-" + name;
    frame.setAttribute("role", name === "table" ? "table" : "group");
    body.setAttribute("role", name === "table" ? "rowgroup" : "list");
    update();
  }));
  body.addEventListener("click", (event) => {
    const item = event.target.closest("[data-row]");
    if (item && !event.target.closest("a") && !String(getSelection())) open(Number(item.dataset.row));
  });
  body.addEventListener("keydown", (event) => {
    const item = event.target.closest("[data-row]");
    if (item && event.key === "Enter" && event.target === item) { event.preventDefault(); open(Number(item.dataset.row)); }
  });
  byId("full").addEventListener("click", (event) => { if (event.target === byId("full")) byId("full").close(); });
  addEventListener("beforeprint", () => list.all(PRINTED));
  addEventListener("afterprint", () => list.redraw());
  update();
  setTimeout(() => prepare(0), 200);
})();
