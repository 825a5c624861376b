// The headline, the bars of the whole network, and the account of the three modules.
function drawHeadline() {
  const { config } = report;
  byId("network").textContent = report.network;
  byId("about").textContent = [`${config.name}: ${config.batch} × ${config.block_in} × ${config.block_out}, ` +
    `${config.macs_per_cycle} MACs a cycle`,
    `${config.bus_bits}-bit bus`, ...Object.values(report.about)].join(" · ");
  const moved = first.read + first.written;
  const entries = [
    ["utilisation", percent(first.utilisation), "of all products the array could make"],
    ["cycles", count(first.cycles), "from launch to done"],
    ["MACs", short(first.macs), first.macs_on_host
      ? `and ${short(first.macs_on_host)} on the host` : "all on the accelerator"],
    ["DRAM", bytes(moved), `${bytes(first.read)} read, ${bytes(first.written)} written`],
    ["bus in use", percent(first.read / config.bus_bytes / first.cycles),
      `reading, ${percent(first.written / config.bus_bytes / first.cycles)} writing, of ${config.bus_bytes} bytes a cycle each`],
    ["result", first.bit_exact === null ? "not compared" : first.bit_exact ? "bit-exact" : "WRONG",
      "against the integer reference"],
  ];
  byId("headline").append(...entries.map(
    ([name, value, note]) => make("div", {}, make("dt", {}, name), make("dd", {}, value, make("small", {}, note)))));
}

// A stacked bar; `scale`: cycles of its full width.
function stack(stalls, scale, label) {
  const bar = make("div", { class: "bar", role: "img", "aria-label": label });
  for (const { key } of causes) {
    const cycles = stalls[key];
    if (!cycles) continue;
    const text = `${title(key)}. ${count(cycles)} cycles, ${percent(cycles / sum(Object.values(stalls)))}`;
    bar.append(make("span", { style: { width: `${(100 * cycles) / scale}%`, background: colour(key) },
      onmousemove: (event) => tip.show(event, text), onmouseleave: () => tip.hide() }));
  }
  return bar;
}

const shares = (stalls) => causes.filter(({ key }) => stalls[key]).map(
  ({ key, label }) => `${label} ${percent(stalls[key] / sum(Object.values(stalls)))}`).join(", ");

function drawCycles() {
  const { compute } = first.stalls;
  const waits = causes.filter(({ key, works }) => !works && compute[key]).sort((a, b) => compute[b.key] - compute[a.key]);
  const busy = sum(causes.filter(({ works }) => works).map(({ key }) => compute[key] ?? 0));
  const named = ({ key, label }) => `${label.replace("waits for ", "")} (${percent(compute[key] / first.cycles)})`;
  byId("cycles-text").textContent = `The compute module worked in ${percent(busy / first.cycles)} of ` +
    `${count(first.cycles)} cycles` +
    (waits.length ? `, and waited most for ${waits.slice(0, 2).map(named).join(" and ")}.` : ".") +
    (second ? ` ${second.label}: ${count(second.cycles)} cycles, ${percent(second.cycles / first.cycles)} of that.` : "");
  const longest = Math.max(...report.runs.map((run) => run.cycles));
  byId("cycles-bars").append(make("div", { class: "total" }, ...report.runs.flatMap((run) => [
    make("div", { class: "name" }, run.label, make("small", {}, `${count(run.cycles)} cycles, ${percent(run.utilisation)}`)),
    stack(run.stalls.compute, longest, `${run.label}: ${shares(run.stalls.compute)}`)])));
  byId("legend").append(...causes.filter(({ key }) => report.runs.some((run) => run.stalls.compute[key])).map(({ key }) =>
    make("li", {}, keyed(key), " ", make("span", { class: "share" },
      report.runs.map((run) => percent((run.stalls.compute[key] ?? 0) / run.cycles)).join(" · ")))));
  byId("hiding").textContent = second ? ""
    : "Latency hiding on and off side by side: give `weft report` the network instead of the module, " +
      "or a second module with --against.";
}

function drawModules() {
  const modules = ["load", "compute", "store"];
  const used = causes.filter(({ key }) => modules.some((module) => first.stalls[module][key]));
  byId("modules").append(
    make("thead", {}, make(
      "tr", {}, make("th", {}, "cause"), ...modules.map((module) => make("th", { class: "n" }, module)))),
    make("tbody", {}, ...used.map(({ key }) => make("tr", {}, make("td", {}, keyed(key)),
      ...modules.map((module) =>
        make("td", { class: "n" }, first.stalls[module][key] ? count(first.stalls[module][key]) : ""))))),
    make("tfoot", {}, make("tr", {}, make("td", {}, "all cycles"),
      ...modules.map((module) => make("td", { class: "n" }, count(sum(Object.values(first.stalls[module]))))))));
}

// The physical limit, and what took the other cycles; those that took most first.
function drawLosses() {
  const most = (key) => sum(report.runs.map((run) => run.losses[key] ?? 0));
  const keys = Object.keys(report.losses).sort((a, b) => (b === "limit") - (a === "limit") || most(b) - most(a));
  const cells = (run, cycles) => [make("td", { class: "n" }, cycles ? count(cycles) : ""),
    make("td", { class: "n muted" }, cycles ? percent(cycles / run.cycles) : "")];
  byId("losses").append(
    make("thead", {}, make("tr", {}, make("th", {}, "cause"),
      ...report.runs.flatMap(
        (run) => [make("th", { class: "n" }, second ? run.label : "cycles"), make("th", { class: "n" }, "share")]))),
    make("tbody", {}, ...keys.map((key) => make("tr", { "data-loss": key }, make("td", {}, report.losses[key]),
      ...report.runs.flatMap((run) => cells(run, run.losses[key]))))),
    make("tfoot", {}, make(
      "tr", {}, make("td", {}, "all cycles"), ...report.runs.flatMap((run) => cells(run, sum(Object.values(run.losses)))))));
}
