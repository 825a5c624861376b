// The table of layers, which sorts by any column, and the figures of the chosen one.
const rows = onAccelerator(first);
const otherRun = (layer) => second?.layers[layer.index]?.name === layer.name ? second.layers[layer.index]
  : second?.layers.find((other) => other.name === layer.name);
const most = (value) => Math.max(1, ...rows.map(value));

function under(share, pale = false) { // on one scale in all columns, however wide they are
  return make("span", { class: pale ? "under pale" : "under", style: { width: `max(1px, ${4.2 * share}rem)` } });
}

const columns = [
  { name: "layer", value: (l) => l.index, text: true,
    cell: (l) => [make("button", { type: "button", title: l.name }, nameOf(l))] },
  { name: "operator", value: (l) => l.op, text: true, wide: true, cell: (l) => [l.op] },
  { name: "shape", value: (l) => l.shape.reduce((a, b) => a * b, 1), wide: true, cell: (l) => [l.shape.join("×")] },
  { name: "MACs", value: (l) => l.macs, wide: true, cell: (l) => [l.macs ? short(l.macs) : ""] },
  { name: "cycles", value: (l) => l.cycles,
    cell: (l) => [count(l.cycles), under(l.cycles / most((x) => Math.max(x.cycles, otherRun(x)?.cycles ?? 0)))] },
  ...(second ? [{ name: second.label, value: (l) => otherRun(l)?.cycles ?? 0, wide: true,
    cell: (l) => [count(otherRun(l)?.cycles ?? 0),
      under((otherRun(l)?.cycles ?? 0) / most((x) => Math.max(x.cycles, otherRun(x)?.cycles ?? 0)), true)] }] : []),
  { name: "utilisation", value: (l) => l.utilisation, cell: (l) => l.macs ? [percent(l.utilisation), under(l.utilisation)]
    : [] },
  { name: "DRAM", value: (l) => l.read + l.written, wide: true,
    cell: (l) => [bytes(l.read + l.written), under((l.read + l.written) / most((x) => x.read + x.written), true)] },
  { name: "cycles by cause", value: (l) => 1 - waited(l) / l.cycles, text: true, wide: true,
    cell: (l) => [stack(l.stalls.compute, l.cycles, shares(l.stalls.compute))] },
  { name: "main wait", value: (l) => l.main_wait?.[1] ?? 0, text: true, cell: (l) => l.main_wait
    ? [keyed(l.main_wait[0], causeOf.get(l.main_wait[0]).label.replace("waits for ", "")), " ",
    make("span", { class: "muted" }, percent(l.main_wait[1] / l.cycles))] : [] },
];
const waited = (layer) => sum(causes.filter(({ works }) => !works).map(({ key }) => layer.stalls.compute[key] ?? 0));

function choose(layer) { // from elsewhere on the page: the layer's part comes into view
  selection.choose(layer);
  const box = byId("layer").getBoundingClientRect();
  if (box.top > innerHeight - 300 || box.top < 0) byId("layer").scrollIntoView(
    { behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

function drawLayers() {
  const order = { column: columns[0], down: false };
  const body = make("tbody");
  const heads = columns.map(
    (column) => make("th", { class: [column.text ? "" : "n", column.wide ? "wide" : ""].join(" "), scope: "col" },
    make("button", { type: "button", onclick: () => sortBy(column) }, column.name)));
  function sortBy(column) {
    order.down = order.column === column ? !order.down : !column.text;
    order.column = column;
    fill();
  }
  function fill() {
    heads.forEach((head, k) => columns[k] === order.column
      ? head.setAttribute("aria-sort", order.down ? "descending" : "ascending") : head.removeAttribute("aria-sort"));
    const compare = (a, b) => typeof a === "string" ? a.localeCompare(b) : a - b;
    const sorted = [...rows].sort(
      (a, b) => compare(order.column.value(a), order.column.value(b)) * (order.down ? -1 : 1) || a.index - b.index);
    body.replaceChildren(...sorted.map((layer) => make("tr",
      { "data-layer": layer.index, "aria-selected": String(layer.index === selection.layer),
      onclick: () => choose(layer.index) },
      ...columns.map((column) => make("td", { class: [column.text ? "" : "n", column.wide ? "wide" : "",
        column.name === "main wait" ? "wait" : ""].join(" ") }, ...column.cell(layer))))));
  }
  byId("layers").append(make("thead", {}, make("tr", {}, ...heads)), body);
  fill();
  selection.listeners.push((chosen) =>
    { for (const row of body.rows) row.setAttribute("aria-selected", String(Number(row.dataset.layer) === chosen)); });
  const host = first.layers.filter((layer) => layer.where === "host");
  byId("on-host").textContent = host.length
    ? `On the host: ${host.map((layer) => `${nameOf(layer)} (${layer.reason || layer.op})`).join("; ")}.` : "";
}

function drawLayer(chosen) {
  const layer = chosen === null ? null : first.layers[chosen];
  const part = layer ?? { ...first, stalls: first.stalls, shape: null };
  byId("layer-title").textContent = layer ? nameOf(layer) : "The whole network";
  byId("layer-title").title = layer?.name ?? "";
  const products = part.cycles * report.config.macs_per_cycle;
  const entries = [["cycles", count(part.cycles)], ["of all", percent(part.cycles / first.cycles)],
    ["MACs", count(part.macs)], ["utilisation", percent(part.macs / products)],
    ["DRAM read", bytes(part.read)], ["written", bytes(part.written)],
      ["MACs a byte", (part.macs / (part.read + part.written)).toFixed(1)]];
  if (layer) entries.unshift([layer.op, layer.shape.join(" × ")]);
  byId("layer-figures").replaceChildren(
    ...entries.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", { "data-figure": name }, value))));
  drawBehind(part);
  const parts = report.runs.map((run) => chosen === null ? run : run === first ? layer
    : otherRun({ ...layer, index: chosen })).map((one) => one?.stalls?.compute ?? {});
  const used = causes.filter(({ key }) => parts.some((stalls) => stalls[key]));
  const both = parts.length > 1;
  byId("layer-causes").replaceChildren(
    make("thead", {}, make("tr", {}, make("th", {}, "cause"),
      ...report.runs.flatMap(
      (run) => [make("th", { class: "n" }, both ? run.label : "cycles"), make("th", { class: "n" }, "share")]))),
    make("tbody", {}, ...used.map(({ key }) => make("tr", {}, make("td", {}, keyed(key)), ...parts.flatMap((stalls) => [
      make("td", { class: "n" }, count(stalls[key] ?? 0)),
        make("td", { class: "n muted" }, percent((stalls[key] ?? 0) / sum(Object.values(stalls))))])))),
    make("tfoot", {}, make("tr", {}, make("td", {}, "all"), ...parts.flatMap(
      (stalls) => [make("td", { class: "n" }, count(sum(Object.values(stalls)))), make("td", { class: "n" }, "100 %")]))));
}

// What the other modules did while the compute module waited for them.
function drawBehind(part) {
  const lines = ["load", "store"].filter((module) => Object.keys(part.behind?.[module] ?? {}).length).map((module) => {
    const behind = part.behind[module], all = sum(Object.values(behind));
    const parts = causes.filter(({ key }) => behind[key]).sort((a, b) => behind[b.key] - behind[a.key]).map(({ key }) =>
      make("span", { class: "part" }, keyed(key), ` ${percent(behind[key] / all, 0)}`));
    return make("p", {}, `While the compute module waited ${count(all)} cycles for ${module}, ` +
      `the ${module} module’s time was: `, ...parts);
  });
  byId("layer-behind").replaceChildren(...lines);
}

function drawLayerControls() {
  const step = (by) => {
    const at = rows.findIndex((layer) => layer.index === selection.layer);
    selection.choose(rows[(at + by + rows.length + (at < 0 && by < 0 ? 1 : 0)) % rows.length].index);
  };
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("whole").addEventListener("click", () => selection.choose(null));
  selection.listeners.push(drawLayer);
}
