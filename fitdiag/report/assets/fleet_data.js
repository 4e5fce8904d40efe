/* The fleet as columns: reading one row, ordering all, and finding some. */
const fitdiagFleet = (function () {
  "use strict";
  const data = JSON.parse(document.getElementById("fleet").textContent);
  const count = data.count;
  const unreadable = data.ends.length - 1;
  const altered = new Set(data.altered);
  const orders = new Map();
  const texts = new Array(count);
  const settings = new Map(data.settings.map((column) => [column.name, column]));

  function valueOf(column, row) {
    return column.values[column.at === null ? 0 : column.at[row]];
  }

  function endOf(row) {
    return data.end.charCodeAt(row) - 48;
  }

  function pathOf(row) {
    const folder = valueOf(data.folder, row), file = valueOf(data.file, row);
    return folder ? folder + "/" + file : file;
  }

  function nameOf(row) {
    if (data.name[row]) return data.name[row];
    const parts = pathOf(row).split("/").filter(Boolean);
    return parts.slice(-2).join("/") + (data.run[row] ? " #" + data.run[row] : "");
  }

  function settingOf(name, row) {
    const column = settings.get(name);
    if (!column) return undefined;
    if (column.at === null) return column.values[0];
    return column.at[row] < 0 ? undefined : column.values[column.at[row]];
  }

  function say(value) {
    if (value === undefined) return "";
    if (typeof value === "number") return String(Number(value.toPrecision(6)));
    return String(value);
  }

  function linkOf(row) {
    const end = data.link.ends[row];
    return end === undefined ? "" : data.link.start + end;
  }

  /* What a row is searched by: all that a person may know of it, in small letters. */
  function textOf(row) {
    if (texts[row] === undefined) {
      const parts = [pathOf(row), nameOf(row), valueOf(data.format, row), valueOf(data.codes, row), data.ends[endOf(row)].title, data.reason[row] || ""];
      data.settings.forEach((column) => {
        const value = settingOf(column.name, row);
        if (value !== undefined) parts.push(column.name + "=" + String(value));
      });
      texts[row] = parts.join("\n").toLowerCase();
    }
    return texts[row];
  }

  /* Texts are made while nobody waits, so that the first search need not. */
  function prepare(start) {
    for (let row = start; row < Math.min(start + 4000, count); row++) textOf(row);
    if (start + 4000 < count) setTimeout(() => prepare(start + 4000), 8);
  }

  function keyOf(name) {
    if (name.startsWith("config.")) return (row) => settingOf(name.slice(7), row);
    if (name === "name") return nameOf;
    if (name === "end") return endOf;
    if (name === "gradient") return (row) => valueOf(data.gradient, row);
    if (name === "findings") return (row) => valueOf(data.codes, row).split(" ").filter(Boolean).length;
    const column = data.numbers[name] || [];
    return (row) => column[row];
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
  }

  /* All rows in the order of a column; those without a value come last, whichever way. */
  function order(name, down) {
    const known = name + (down ? " down" : "");
    if (!orders.has(known)) {
      const key = keyOf(name), keys = new Array(count), some = [], none = [];
      for (let row = 0; row < count; row++) {
        keys[row] = key(row);
        (keys[row] === undefined || keys[row] === null || endOf(row) === unreadable && name !== "name" && name !== "end" ? none : some).push(row);
      }
      const sign = down ? -1 : 1, plain = some.every((row) => typeof keys[row] === "number");
      if (plain) some.sort((a, b) => sign * (keys[a] - keys[b]) || a - b);
      else some.sort((a, b) => sign * compare(keys[a], keys[b]) || a - b);
      orders.set(known, Int32Array.from(some.concat(none)));
    }
    return orders.get(known);
  }

  /* The rows that fit: their end, their gradients, a code, and every word of a search. */
  function find(sorted, wanted) {
    const words = wanted.search.toLowerCase().split(/\s+/).filter(Boolean);
    const coded = wanted.code ? data.codes.values.map((codes) => codes.split(" ").includes(wanted.code)) : null;
    const found = [];
    for (let place = 0; place < count; place++) {
      const row = sorted[place];
      if (wanted.ends.size && !wanted.ends.has(endOf(row))) continue;
      if (wanted.gradient && valueOf(data.gradient, row) !== wanted.gradient) continue;
      if (coded && !coded[data.codes.at === null ? 0 : data.codes.at[row]]) continue;
      if (words.length) {
        const text = textOf(row);
        if (!words.every((word) => text.includes(word))) continue;
      }
      found.push(row);
    }
    return found;
  }

  return { altered, count, data, endOf, find, linkOf, nameOf, order, pathOf, prepare, say, settingOf, unreadable, valueOf };
})();
