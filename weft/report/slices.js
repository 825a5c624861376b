// What the timelines show: every run's slices by module, the waits by instruction, and what to say of a slice.
const MODULES = ["load", "compute", "store"];
const timelines = []; // one a run: its columns, its waits by instruction, the stretch of each layer

async function unpack(text) {
  const content = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([content]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

function prepare(data, run) {
  const waits = new Map(), stretches = new Map();
  for (const slices of Object.values(data.slices))
    slices.kind.forEach((kind, k) => { if (data.kinds[kind].startsWith("waits") || data.kinds[kind] === "fetch") waits.set(
      slices.instruction[k], { kind: data.kinds[kind], cycles: slices.length[k], by: slices.by[k] }); });
  const { start, length, instruction } = data.slices.compute;
  instruction.forEach((which, k) => {
    const layer = data.instructions.layer[which], known = stretches.get(layer);
    stretches.set(layer, [known ? known[0] : start[k], start[k] + length[k]]);
  });
  return { ...data, run, waits, stretches, origin: 1 };
}

const called = (line, k) => `#${k} ${line.titles[line.instructions.title[k]]}`;

// What a slice is, as lines of text.
function describe(line, module, k) {
  const slices = line.slices[module], { instructions } = line;
  const kind = line.kinds[slices.kind[k]], which = slices.instruction[k], by = slices.by[k],
    cycles = count(slices.length[k]);
  if (which < 0) return { head: causeOf.get(kind).label, lines: [`${cycles} cycles`] };
  const text = line.texts[instructions.text[which]], layer = nameOf(line.run.layers[instructions.layer[which]]);
  const waits = kind.startsWith("waits") || kind === "fetch";
  const lines = [`${causeOf.get(kind).label}, ${cycles} cycles: ${causeOf.get(kind).meaning}`];
  if (waits && by >= 0) lines.push(`token from ${called(line, by)}: ${line.texts[instructions.text[by]]}`);
  lines.push(`${layer} · cycles ${count(instructions.began[which])} to ${count(instructions.done[which])}` + (
    instructions.bytes[which] ? ` · ${bytes(instructions.bytes[which])}` : ""));
  const wait = line.waits.get(which);
  if (!waits) lines.push(
    wait
      ? `it had waited ${count(wait.cycles)} cycles for ${wait.by >= 0 ? called(line, wait.by) : wait.kind}` : "it had waited for nothing");
  return { head: called(line, which), code: text, lines };
}

function firstBehind(slices, cycle) { // the first slice that ends behind `cycle`
  let low = 0, high = slices.start.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (slices.start[middle] + slices.length[middle] > cycle) high = middle; else low = middle + 1;
  }
  return low;
}
