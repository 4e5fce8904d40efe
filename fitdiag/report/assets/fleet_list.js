/* A list of any length: only the lines in view are in the document. */
function fitdiagList(frame, body, make) {
  "use strict";
  const SPARE = 6;
  let rows = [], first = -1, last = -1, active = 0, across = 1, tall = 52;

  function measure() {
    const style = getComputedStyle(frame);
    tall = parseFloat(style.getPropertyValue("--line")) || 52;
    const least = parseFloat(style.getPropertyValue("--card")) || 0;
    across = least ? Math.max(1, Math.floor(frame.clientWidth / least)) : 1;
  }

  function lines() {
    return Math.ceil(rows.length / across);
  }

  function fill(start, end) {
    const held = body.contains(document.activeElement);
    const parts = document.createDocumentFragment();
    for (let place = start * across; place < Math.min(end * across, rows.length); place++) {
      const item = make(rows[place], place);
      const line = Math.floor(place / across);
      item.style.top = line * tall + "px";
      item.style.height = tall + "px";
      item.style.left = (100 * (place % across)) / across + "%";
      item.style.width = 100 / across + "%";
      item.dataset.place = place;
      item.tabIndex = place === active ? 0 : -1;
      parts.append(item);
    }
    body.replaceChildren(parts);
    body.style.height = lines() * tall + "px";
    [first, last] = [start, end];
    const here = active >= start * across && active < end * across;
    if (!here && body.firstChild) body.children[Math.min(SPARE * across, body.children.length - 1)].tabIndex = 0;
    if (held && here) focus();
  }

  function draw(force) {
    const start = Math.max(0, Math.floor(frame.scrollTop / tall) - SPARE);
    const end = Math.min(lines(), Math.ceil((frame.scrollTop + frame.clientHeight) / tall) + SPARE);
    const near = start >= first && end <= last;
    if (force || !near) fill(start, Math.max(end, start + 1));
  }

  function focus() {
    const item = body.querySelector(`[data-place="${active}"]`);
    if (item) item.focus({ preventScroll: true });
  }

  function go(place) {
    active = Math.max(0, Math.min(rows.length - 1, place));
    const line = Math.floor(active / across) * tall, head = body.offsetTop;
    if (line < frame.scrollTop) frame.scrollTop = line;
    else if (line + tall + head > frame.scrollTop + frame.clientHeight) frame.scrollTop = line + tall + head - frame.clientHeight;
    draw(true);
    focus();
  }

  body.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(frame.clientHeight / tall) - 1) * across;
    const moves = { ArrowDown: across, ArrowUp: -across, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (across > 1) Object.assign(moves, { ArrowRight: 1, ArrowLeft: -1 });
    if (!(event.key in moves) || event.target.dataset.place === undefined) return;
    event.preventDefault();
    go(active + moves[event.key]);
  });
  body.addEventListener("focusin", (event) => {
    const item = event.target.closest("[data-place]");
    if (item && Number(item.dataset.place) !== active) {
      const before = body.querySelector('[tabindex="0"]');
      if (before) before.tabIndex = -1;
      active = Number(item.dataset.place);
      item.tabIndex = 0;
    }
  });
  frame.addEventListener("scroll", () => draw(false), { passive: true });
  new ResizeObserver(() => { measure(); draw(true); }).observe(frame);

  return {
    show(found, keep) {
      rows = found;
      measure();
      if (!keep) { active = 0; frame.scrollTop = 0; }
      draw(true);
    },
    all(most) {
      measure();
      fill(0, Math.ceil(Math.min(rows.length, most) / across));
    },
    redraw() { draw(true); },
  };
}
