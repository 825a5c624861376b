// Roofline: a point a layer, MACs for a byte of DRAM against MACs a cycle, both logarithmic. Reads and writes have a channel
// each, so the bytes are those of the busier one.
function drawRoofline() {
  const { macs_per_cycle: peak, bus_bytes: bus } = report.config;
  const points = rows.filter((layer) => layer.macs).map(
    (layer) => ({ layer, x: layer.macs / Math.max(layer.read, layer.written), y: layer.macs / layer.cycles }));
  if (!points.length) return byId("roofline").append(make("p", { class: "hint" }, "No layer of this network multiplies."));
  const width = 560, height = 380, left = 46, bottom = 40, top = 14, right = 16;
  const low = 2 ** Math.floor(Math.log2(Math.min(...points.map((p) => p.x), peak / bus / 4)));
  const high = 2 ** Math.ceil(Math.log2(Math.max(...points.map((p) => p.x), peak / bus) * 1.5));
  const floor = 2 ** Math.floor(Math.log2(Math.min(...points.map((p) => p.y), peak / 8)));
  const ceiling = peak * 1.5;
  const along = (x) => left + ((width - left - right) * Math.log(x / low)) / Math.log(high / low);
  const up = (y) => height - bottom - ((height - bottom - top) * Math.log(y / floor)) / Math.log(ceiling / floor);
  const svg = make("svg",
    { viewBox: `0 0 ${width} ${height}`, role: "group",
      "aria-label": `Roofline: ${peak} MACs a cycle, and ${bus} bytes of DRAM a cycle` });
  const ticks = (from, to, factor) =>
    { const found = []; for (let t = from; t <= to; t *= factor) found.push(t); return found; };
  for (const t of ticks(low, high, high / low > 4096 ? 8 : high / low > 64 ? 4 : 2))
    svg.append(make("line", { class: "grid", x1: along(t), x2: along(t), y1: top, y2: height - bottom }),
      make("text", { x: along(t), y: height - bottom + 16, "text-anchor": "middle" }, short(t)));
  for (const t of ticks(floor, peak, peak / floor > 256 ? 4 : 2))
    svg.append(make("line", { class: "grid", x1: left, x2: width - right, y1: up(t), y2: up(t) }),
      make("text", { x: left - 6, y: up(t) + 4, "text-anchor": "end" }, short(t)));
  const knee = peak / bus;
  const start = Math.max(low, floor / bus);
  svg.append(make("path",
    { class: "roof", d: `M${along(start)} ${up(bus * start)}L${along(knee)} ${up(peak)}L${width - right} ${up(peak)}` }),
    make("text", { x: width - right, y: up(peak) - 6, "text-anchor": "end" }, `${peak} MACs a cycle`),
    make("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" },
      "MACs for a byte read from DRAM, or written if that is more"),
    make("text", { x: 12, y: (top + height - bottom) / 2, "text-anchor": "middle",
      transform: `rotate(-90 12 ${(top + height - bottom) / 2})` }, "MACs a cycle"));
  const slope = (Math.atan2(up(peak) - up(bus * start), along(knee) - along(start)) * 180) / Math.PI;
  const middle = Math.sqrt(start * knee);
  svg.append(make("text", { x: along(middle), y: up(bus * middle) - 7, "text-anchor": "middle",
    transform: `rotate(${slope} ${along(middle)} ${up(bus * middle)})` }, `${bus} bytes a cycle`));
  const circles = [...points].sort((a, b) => b.layer.cycles - a.layer.cycles).map(({ layer, x, y }) => {
    const text = `${nameOf(layer)}: ${y.toFixed(1)} MACs a cycle at ${x.toFixed(1)} MACs a byte; ` +
      `the roof there is ${Math.min(peak, bus * x).toFixed(0)}`;
    const go = () => choose(layer.index);
    return make("circle", { class: "point", cx: along(x), cy: up(y), r: 4 + 16 * Math.sqrt(layer.cycles / first.cycles),
      tabindex: 0, role: "button", "aria-label": text, "data-layer": layer.index,
      onclick: go, onkeydown: (event) =>
        { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); go(); } },
      onmousemove: (event) => tip.show(event, text), onmouseleave: () => tip.hide() });
  });
  const ring = make("circle", { class: "ring", r: 0 });
  svg.append(...circles, ring);
  byId("roofline").append(svg);
  selection.listeners.push((chosen) => {
    const circle = circles.find((one) => Number(one.dataset.layer) === chosen);
    for (const name of ["cx", "cy", "r"]) ring.setAttribute(name, circle?.getAttribute(name) ?? 0);
  });
}
