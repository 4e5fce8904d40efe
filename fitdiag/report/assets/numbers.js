/* Numbers as words and along axes, for the charts of the page. */
const fitdiagNumbers = (function () {
  "use strict";

  function number(value) {
    if (value === null || value === undefined) return "";
    const size = Math.abs(value);
    if (size >= 1000 && size < 1e6) return Number(value.toPrecision(4)).toLocaleString("en-US");
    if (size !== 0 && (size < 1e-4 || size >= 1e6)) return Number(value.toPrecision(4)).toExponential().replace(/e([+-])(\d)$/, "e$10$2");
    return String(Number(value.toPrecision(4)));
  }

  /* Powers of ten, and where they are few, multiples of them; in a narrow range round steps. */
  function logTicks(low, high, most) {
    const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
    let ticks = [];
    for (const factors of [[1, 2, 3, 5], [1, 2, 5], [1, 3], [1]]) {
      ticks = [];
      for (let power = first; power <= last; power++) factors.forEach((f) => ticks.push(Number(f + "e" + power)));
      ticks = ticks.filter((tick) => tick >= low && tick <= high);
      if (ticks.length <= most) return ticks.length > 1 ? ticks : roundTicks(low, high, most);
    }
    const stride = Math.ceil(ticks.length / most);
    return ticks.filter((_, index) => index % stride === 0);
  }

  function roundTicks(low, high, most) {
    const rough = (high - low) / most, power = Math.pow(10, Math.floor(Math.log10(rough)));
    const step = [1, 2, 5, 10].map((f) => f * power).find((size) => size >= rough);
    const ticks = [];
    for (let index = Math.ceil(low / step); index * step <= high; index++) ticks.push(index * step);
    return ticks;
  }

  /* Distances from tick to tick along epochs or steps: whole ones, unless all shown lies within one. */
  function placeSteps(low, high) {
    const steps = [];
    for (let power = high - low >= 1 ? 0 : -9; power < 16; power++) [1, 2, 5].forEach((f) => steps.push(Number(f + "e" + power)));
    return steps;
  }

  function place(value) {
    return Number(value.toPrecision(7)).toLocaleString("en-US", { maximumFractionDigits: 2 });
  }

  return { logTicks, number, place, placeSteps };
})();
