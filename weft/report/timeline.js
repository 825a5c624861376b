// The timeline: every run's three modules, cycle by cycle, on one scale that begins where the chosen layer begins.
// pixels, and the fewest cycles to show
const TRACK = 30, GAP = 4, STRIP = 16, HEAD = 24 + STRIP + 4, AXIS = 24, LEFT = 66, RIGHT = 8, LEAST = 8;

class Picture {
  constructor(host) {
    this.canvas = make("canvas", { tabindex: 0, role: "application",
      "aria-label": "Timeline of the load, compute and store modules", "aria-describedby": "announced" });
    this.height = timelines.length * (HEAD + 3 * (TRACK + GAP)) + AXIS;
    this.canvas.style.height = `${this.height}px`;
    host.append(this.canvas);
    this.view = { from: 0, to: 100 };
    this.length = 100;
    this.marked = null; // {line, module, k}
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.colours = null; this.draw(); });
    this.listen();
  }

  show(layer) {
    this.layer = layer;
    this.length = 0;
    for (const line of timelines) {
      const index = layer === null || line.run === first ? layer
        : line.run.layers.indexOf(otherRun({ ...first.layers[layer], index: layer }));
      const [start, end] = layer === null ? [1, line.run.cycles + 1] : line.stretches.get(index) ?? [1, 2];
      line.origin = start;
      line.shown = index;
      this.length = Math.max(this.length, end - start);
    }
    this.marked = null;
    this.fit();
  }

  fit() { this.move(-0.01 * this.length, 1.02 * this.length); }

  move(from, size) {
    size = Math.min(Math.max(size, LEAST), 1.5 * this.length + LEAST);
    from = Math.min(Math.max(from, -0.25 * this.length - size / 4), 1.25 * this.length - size * 0.75);
    this.view = { from, to: from + size };
    this.draw();
  }

  zoom(factor, share = 0.5) {
    const size = this.view.to - this.view.from, at = this.view.from + share * size;
    const next = Math.min(Math.max(size * factor, LEAST), 1.5 * this.length + LEAST);
    this.move(at - share * next, next);
  }

  pan(share) { this.move(this.view.from + share * (this.view.to - this.view.from), this.view.to - this.view.from); }

  get plot() { return this.canvas.clientWidth - LEFT - RIGHT; }
  across(cycle) { return LEFT + ((cycle - this.view.from) * this.plot) / (this.view.to - this.view.from); }
  top(lineIndex, moduleIndex) { return lineIndex * (HEAD + 3 * (TRACK + GAP)) + HEAD + moduleIndex * (TRACK + GAP); }

  palette() {
    const style = getComputedStyle(document.documentElement);
    const value = (name) => style.getPropertyValue(name).trim();
    this.colours = { ink: value("--ink"), muted: value("--muted"), line: value("--line"), faint: value("--faint"),
      raised: value("--raised"), accent: value("--accent"),
      of: Object.fromEntries(causes.map(({ key }) => [key, value(cssName(key))])) };
  }

  draw() {
    const scale = devicePixelRatio || 1, width = this.canvas.clientWidth;
    if (!width) return;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(this.height * scale);
    if (!this.colours) this.palette();
    const pen = (this.pen = this.canvas.getContext("2d", { willReadFrequently: true }));
    pen.scale(scale, scale);
    pen.font = "12px system-ui, sans-serif";
    pen.textBaseline = "middle";
    this.axis();
    timelines.forEach((line, at) => {
      pen.fillStyle = this.colours.ink;
      pen.textAlign = "left";
      const [from, to] = line.shown === null ? [1, line.run.cycles + 1] : line.stretches.get(line.shown) ?? [1, 1];
      pen.fillText(`${line.run.label} · ${count(to - from)} cycles`, LEFT, this.top(at, 0) - STRIP - 16);
      this.strip(line, this.top(at, 0) - STRIP - 4);
      MODULES.forEach((module, row) => this.track(line, module, this.top(at, row)));
    });
    this.drawn = this.pen.getImageData(0, 0, this.canvas.width, this.canvas.height);
    if (this.marked) this.mark();
  }

  axis() {
    const { pen, colours, view } = this;
    const wanted = (view.to - view.from) / Math.max(2, this.plot / 110), power = 10 ** Math.floor(Math.log10(wanted));
    const step = Math.max(1, [1, 2, 5, 10].find((s) => s * power >= wanted) * power);
    pen.fillStyle = colours.muted;
    pen.textAlign = "center";
    for (let t = Math.ceil(view.from / step) * step; t <= view.to; t += step) {
      const x = this.across(t);
      pen.fillStyle = colours.line;
      pen.fillRect(Math.round(x), HEAD - 4, 1, this.height - AXIS - HEAD + 6);
      pen.fillStyle = colours.muted;
      if (x > LEFT + 4 && x < this.canvas.clientWidth - 24) pen.fillText(count(t), x, this.height - 12);
    }
  }

  strip(line, y) { // which layer the compute module is at
    const { pen, colours } = this;
    let odd = false;
    for (const [layer, [start, end]] of line.stretches) {
      const x = Math.max(LEFT, this.across(start - line.origin)),
        right = Math.min(LEFT + this.plot, this.across(end - line.origin));
      odd = !odd;
      if (right <= x) continue;
      const chosen = layer === line.shown;
      pen.fillStyle = chosen ? colours.muted : odd ? colours.line : colours.faint;
      pen.fillRect(x, y, Math.max(0.5, right - x - 0.5), STRIP);
      const text = nameOf(line.run.layers[layer]);
      pen.textAlign = "left";
      pen.fillStyle = chosen ? colours.raised : colours.muted;
      if (pen.measureText(text).width < right - x - 8) pen.fillText(text, x + 4, y + STRIP / 2 + 0.5);
    }
    pen.textAlign = "right";
    pen.fillStyle = colours.muted;
    pen.fillText("layer", LEFT - 8, y + STRIP / 2);
  }

  track(line, module, y) {
    const { pen, colours, view } = this, slices = line.slices[module], perCycle = this.plot / (view.to - view.from);
    pen.save();
    pen.beginPath();
    pen.rect(LEFT, y, this.plot, TRACK);
    pen.clip();
    pen.fillStyle = colours.faint;
    pen.fillRect(LEFT, y, this.plot, TRACK);
    const mixed = new Map(); // colour and paleness -> cycles in this pixel's column
    let column = -1;
    const flush = () => {
      let at = y;
      for (const [key, cycles] of mixed) {
        this.fill(key, LEFT + column, at, 1, TRACK * cycles * perCycle);
        at += TRACK * cycles * perCycle;
      }
      mixed.clear();
    };
    for (let k = firstBehind(slices, view.from + line.origin); k < slices.start.length; k++) {
      const x = (slices.start[k] - line.origin - view.from) * perCycle;
      if (x > this.plot) break;
      const wide = slices.length[k] * perCycle, which = slices.instruction[k];
      const pale = line.shown !== null && line.instructions.layer[which] !== line.shown;
      const key = `${pale ? "~" : ""}${line.kinds[slices.kind[k]]}`;
      if (wide >= 1.5) {
        this.fill(key, LEFT + x, y, wide > 4 ? wide - 0.75 : wide, TRACK);
        if (wide > 34) this.label(
          line, slices, k, LEFT + Math.max(0, x), y, Math.min(wide + Math.min(0, x), this.plot), pale);
        continue;
      }
      for (let at = x; at < x + wide - 1e-9;) { // a slice that is not wider than a pixel shares its columns with others
        const next = Math.min(x + wide, Math.floor(at + 1e-9) + 1);
        if (Math.floor(at + 1e-9) !== column) { flush(); column = Math.floor(at + 1e-9); }
        mixed.set(key, (mixed.get(key) ?? 0) + (next - at) / perCycle);
        at = next;
      }
    }
    flush();
    pen.restore();
    pen.fillStyle = colours.muted;
    pen.textAlign = "right";
    pen.fillText(module, LEFT - 8, y + TRACK / 2);
  }

  fill(key, x, y, width, height) {
    const pale = key[0] === "~";
    this.pen.globalAlpha = pale ? 0.22 : 1;
    this.pen.fillStyle = this.colours.of[pale ? key.slice(1) : key];
    this.pen.fillRect(x, y, width, height);
    this.pen.globalAlpha = 1;
  }

  label(line, slices, k, x, y, width, pale) {
    const kind = line.kinds[slices.kind[k]], which = slices.instruction[k];
    const text = which < 0 || kind.startsWith("waits") || ["fetch", "done", "pipeline", "dram"].includes(kind)
      ? causeOf.get(kind).label : line.titles[line.instructions.title[which]];
    const { pen } = this;
    if (pen.measureText(text).width > width - 8) return;
    pen.textAlign = "left";
    pen.globalAlpha = pale ? 0.5 : 1;
    pen.fillStyle = readable(this.colours.of[kind], pale);
    pen.fillText(text, x + 5, y + TRACK / 2 + 0.5);
    pen.globalAlpha = 1;
  }

  mark() {
    const { pen, colours } = this, { line, module, k } = this.marked, slices = line.slices[module];
    const at = timelines.indexOf(line), y = this.top(at, MODULES.indexOf(module));
    const x = Math.max(LEFT, this.across(slices.start[k] - line.origin));
    const end = Math.min(LEFT + this.plot, this.across(slices.start[k] + slices.length[k] - line.origin));
    if (end <= x) return;
    pen.strokeStyle = colours.ink;
    pen.lineWidth = 1.5;
    pen.strokeRect(x, y - 0.5, Math.max(1, end - x), TRACK + 1);
    const by = slices.by[k];
    if (by < 0) return;
    const giver = MODULES.findIndex((name) => line.slices[name].instruction.includes(by));
    const from = this.across(line.instructions.done[by] + 1 - line.origin), upward = giver < MODULES.indexOf(module);
    const start = this.top(at, giver) + (upward ? TRACK : 0), stop = upward ? y : y + TRACK;
    pen.beginPath();
    pen.moveTo(from, start);
    pen.bezierCurveTo(from, (start + stop) / 2, end, (start + stop) / 2, end, stop);
    pen.stroke();
  }

  layerAt(event) { // the layer of the first run whose strip is under the pointer, or null
    const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    for (const [at, line] of timelines.entries()) {
      const top = this.top(at, 0) - STRIP - 4;
      if (y < top || y > top + STRIP || x < LEFT) continue;
      const cycle = this.view.from + ((x - LEFT) / this.plot) * (this.view.to - this.view.from) + line.origin;
      const found = [...line.stretches].find(([, [start, end]]) => start <= cycle && cycle < end);
      if (found) return first.layers.findIndex((layer) => layer.name === line.run.layers[found[0]].name);
    }
    return null;
  }

  find(event) { // the slice under the pointer
    const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    if (x < LEFT || x > LEFT + this.plot) return null;
    for (const [at, line] of timelines.entries())
      for (const [row, module] of MODULES.entries()) {
        const top = this.top(at, row);
        if (y < top || y > top + TRACK) continue;
        const cycle = this.view.from + ((x - LEFT) / this.plot) * (this.view.to - this.view.from) + line.origin;
        const k = firstBehind(line.slices[module], cycle);
        return k < line.slices[module].start.length && line.slices[module].start[k] <= cycle ? { line, module, k } : null;
      }
    return null;
  }

  point(found, event) {
    this.marked = found;
    if (this.drawn) this.pen.putImageData(this.drawn, 0, 0);
    if (found) this.mark();
    if (!found) return tip.hide();
    const { head, code, lines } = describe(found.line, found.module, found.k);
    if (event) tip.show(event, make("strong", {}, head), ...(code ? [make("code", {}, code)] : []),
      ...lines.map((text) => make("p", {}, text)));
    else byId("announced").textContent = [found.module, head, code, ...lines].filter(Boolean).join(". ");
  }

  name(event) { // of the layer under the pointer
    const layer = this.layerAt(event);
    this.canvas.style.cursor = layer === null ? "" : "pointer";
    if (layer !== null && layer >= 0) tip.show(event, first.layers[layer].name);
  }

  go(found) { // brings a slice into view and says what it is
    this.canvas.scrollIntoView({ block: "nearest" });
    const start = found.line.slices[found.module].start[found.k] - found.line.origin,
      length = found.line.slices[found.module].length[found.k];
    const size = this.view.to - this.view.from;
    if (start < this.view.from || start + length > this.view.to || length < size / 200) this.move(
      start + length / 2 - Math.min(size, 12 * length) / 2, Math.min(size, Math.max(12 * length, LEAST)));
    this.point(found, null);
    const box = this.canvas.getBoundingClientRect(),
      row = this.top(timelines.indexOf(found.line), MODULES.indexOf(found.module));
    this.point(found, { clientX: box.left + Math.min(Math.max(LEFT, this.across(start)), box.width - 60), clientY: box.top +
      row + TRACK - 12 });
  }

  step(by) {
    const { line, module, k } = this.marked ?? { line: timelines[0], module: "compute",
      k: firstBehind(timelines[0].slices.compute, this.view.from + timelines[0].origin) - by };
    if (k + by >= 0 && k + by < line.slices[module].start.length) this.go({ line, module, k: k + by });
  }

  listen() {
    const { canvas } = this, fingers = new Map();
    let dragged = 0;
    const share = (event) => (event.clientX - canvas.getBoundingClientRect().left - LEFT) / this.plot;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.pan(
        (event.deltaX || event.deltaY) / this.plot);
      else this.zoom(Math.exp(event.deltaY * 0.0016), share(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown",
      (event) => { dragged = 0; fingers.set(event.pointerId, event.clientX); canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return this.point(this.find(event), event) ?? this.name(event);
      const before = [...fingers.values()];
      const moved = event.clientX - fingers.get(event.pointerId);
      fingers.set(event.pointerId, event.clientX);
      dragged += Math.abs(moved);
      if (fingers.size === 2) {
        const now = [...fingers.values()], apart = (pair) => Math.max(10, Math.abs(pair[0] - pair[1]));
        this.zoom(apart(before) / apart(now),
          ((now[0] + now[1]) / 2 - canvas.getBoundingClientRect().left - LEFT) / this.plot);
      } else if (moved) { tip.hide(); this.pan(-moved / this.plot); }
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(
      name, (event) => { fingers.delete(event.pointerId); if (event.pointerType === "touch") this.point(
      this.find(event), event); });
    canvas.addEventListener("click", (event) => {
      const layer = dragged < 5 ? this.layerAt(event) : null;
      if (layer !== null && layer >= 0) selection.choose(layer);
    });
    canvas.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") this.point(null); });
    canvas.addEventListener("blur", () => tip.hide());
    const keys = { ArrowLeft: () => this.pan(-0.2), ArrowRight: () => this.pan(0.2), "+": () => this.zoom(0.6),
      "=": () => this.zoom(0.6), "-": () => this.zoom(1 / 0.6), 0: () => this.fit(), n: () => this.step(1),
      p: () => this.step(-1) };
    canvas.addEventListener("keydown",
      (event) => { if (keys[event.key] && !event.ctrlKey
      && !event.metaKey) { event.preventDefault(); keys[event.key](); } });
    byId("zoom-in").addEventListener("click", () => this.zoom(0.5));
    byId("zoom-out").addEventListener("click", () => this.zoom(2));
    byId("zoom-fit").addEventListener("click", () => this.fit());
  }
}

// Ink that can be read on a colour (#rrggbb).
function readable(background, pale = false) {
  if (pale) return getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(background.slice(at, at + 2), 16) / 255);
  return 0.299 * r + 0.587 * g + 0.114 * b > 0.56 ? "#14171a" : "#ffffff";
}

function drawWaits(picture, chosen) {
  const line = timelines[0], { start, length, kind, instruction, by } = line.slices.compute;
  const works = new Set(causes.filter((cause) => cause.works).map((cause) => cause.key));
  const found = [];
  instruction.forEach((which, k) => { if (!works.has(line.kinds[kind[k]]) && line.kinds[kind[k]] !== "done"
    && (chosen === null || line.instructions.layer[which] === chosen)) found.push(k); });
  found.sort((a, b) => length[b] - length[a]);
  const rowsOf = found.slice(0, 8).map((k) => make("tr", {},
    make("td", { class: "n" }, make("button", { type: "button", title: "show it in the timeline",
      onclick: () => picture.go({ line, module: "compute", k }) }, count(length[k]))),
    make("td", {}, keyed(line.kinds[kind[k]])), make("td", {}, called(line, instruction[k])),
      make("td", {}, by[k] >= 0 ? called(line, by[k]) : "")));
  byId("layer-waits").replaceChildren(make("thead", {}, make(
    "tr", {}, make("th", { class: "n" }, "cycles"), make("th", {}, "for"), make("th", {}, "instruction"),
    make("th", {}, "token from"))), make("tbody", {}, ...rowsOf));
}

async function drawTimelines() {
  for (const [k, run] of report.runs.entries()) timelines.push(
    prepare(await unpack(byId(`timeline-${k}`).textContent), run));
  const picture = new Picture(byId("timeline"));
  selection.listeners.push((chosen) => { picture.show(chosen); drawWaits(picture, chosen); });
}
