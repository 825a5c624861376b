// What every picture uses: the data, elements, numbers as text, the tip, and which layer is chosen.
const report = JSON.parse(document.getElementById("report").textContent);
const [first, second] = report.runs;
const causes = report.causes;
const causeOf = new Map(causes.map((cause) => [cause.key, cause]));
const byId = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "line", "path", "circle", "text"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(
      name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const count = (value) => (Math.round(value) || 0).toLocaleString("en-US"); // never -0
const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
function short(value) {
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) if (
    value >= size) return `${(value / size).toPrecision(3)} ${letter}`;
  return `${value}`;
}
const bytes = (value) => `${short(value)}${value >= 1000 ? "" : " "}B`;
const cssName = (key) => `--${key.replace("waits for ", "waits-")}`;
const colour = (key) => `var(${cssName(key)})`;
const title = (key) => `${causeOf.get(key).label}: ${causeOf.get(key).meaning}`;
const keyed = (key, text = causeOf.get(key).label) =>
  make("span", { title: causeOf.get(key).meaning }, make("span", { class: "key", style: { background: colour(key) } }),
  text);
const sum = (values) => values.reduce((a, b) => a + b, 0);

const nameOf = (layer) => layer.short;
const onAccelerator = (run) =>
  run.layers.map((layer, index) => ({ ...layer, index })).filter((layer) => layer.where === "accel");

const tip = {
  show(event, ...content) {
    const box = byId("tip");
    box.replaceChildren(...content);
    box.hidden = false;
    const { width, height } = box.getBoundingClientRect();
    const left = Math.min(Math.max(8, event.clientX + 14), innerWidth - width - 8);
    const below = event.clientY + 18;
    box.style.left = `${left}px`;
    box.style.top = `${below + height < innerHeight ? below : Math.max(8, event.clientY - height - 12)}px`;
  },
  hide() { byId("tip").hidden = true; },
};
addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hide(); });

// The chosen layer: an index into a run's layers, or null for the whole network.
const selection = {
  layer: null, listeners: [],
  choose(layer) {
    this.layer = layer;
    for (const listener of this.listeners) listener(layer);
  },
};
