// A network's layers as blocks to scale, in the order of computation. One is chosen by a click, the keys, or its name.
import { listen, make, newViewId, publish } from "./shared.js";

/** @typedef {import("./shared.js").Model} Model */

/**
 * What is drawn of a layer.
 * @typedef {object} Layer
 * @property {string} name
 * @property {string} kind
 * @property {[number, number]} size rows and columns of its map
 * @property {number} units
 * @property {string} block the repeated block that it is in, or ""
 * @property {string} text all of it, in words
 */

const MOST = 60; // layers that are drawn one by one; of more, repeated blocks are drawn as one until they are chosen
const TALLEST = 72, LOWEST = 12; // pixels
/** @type {Record<string, string>} */
const COLOURS = { // of Okabe and Ito
  "convolution": "#0072b2", "activation": "#e69f00", "normalisation": "#999999", "pooling": "#009e73",
  "linear": "#cc79a7", "attention": "#d55e00", "sum or concatenation": "#56b4e9", "block": "#4d6a8a", "other": "#6b6b6b",
};

/**
 * The layers that are drawn as one block each: single ones, or those of a block that is not open.
 * @param {Layer[]} layers
 * @param {string} selected
 * @returns {Layer[][]}
 */
function blocksOf(layers, selected) {
  const open = layers.find(({ name }) => name === selected)?.block;
  /** @type {Layer[][]} */
  const blocks = [];
  for (const layer of layers) {
    const last = blocks[blocks.length - 1];
    const joins = layers.length > MOST && layer.block && layer.block !== open && last?.[0].block === layer.block;
    if (joins) last.push(layer);
    else blocks.push([layer]);
  }
  return blocks;
}

/**
 * @param {{ model: Model, el: HTMLElement }} given
 * @returns {() => void}
 */
function render({ model, el }) {
  const view = newViewId();
  const root = make("div", "cx-strip", el);
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // the strip takes the arrow keys, JupyterLab does not
  const bars = make("div", "cx-strip-bars", root);
  bars.tabIndex = 0;
  bars.setAttribute("role", "listbox");
  bars.setAttribute("aria-orientation", "horizontal");
  bars.setAttribute("aria-label", "layers, in the order of computation");
  const foot = make("div", "cx-strip-foot", root);
  const text = make("div", "cx-strip-text", foot);
  const legend = make("div", "cx-strip-legend", foot);
  const find = make("input", "cx-strip-find", foot);
  Object.assign(find, { type: "search", placeholder: "find a layer" });
  find.setAttribute("aria-label", "find a layer by its name");
  const names = make("datalist", "", foot);
  names.id = `${view}-names`;
  find.setAttribute("list", names.id);

  /** @type {Layer[][]} */
  let blocks = [];
  /** @type {HTMLElement[]} */
  let nodes = [];

  const layers = () => /** @type {Layer[]} */ (model.get("layers"));

  /** @type {(name: string) => void} */
  const select = (name) => {
    if (name === model.get("selected")) return;
    model.set("selected", name);
    model.save_changes();
  };

  /** @type {(block: Layer[]) => string} */
  const describe = (block) => {
    const last = block[block.length - 1];
    return block.length > 1 ? `${last.block}: ${block.length} layers, the last is ${last.text}` : last.text;
  };

  /** @type {(block: Layer[] | undefined) => void} */
  const say = (block) => {
    const chosen = layers().find(({ name }) => name === model.get("selected"));
    text.textContent = block ? describe(block) : chosen ? chosen.text : "";
    text.style.fontWeight = block ? "" : "600";
  };

  /** @type {(parent: HTMLElement, block: Layer[], largest: number, id: number) => HTMLElement} */
  const drawBlock = (parent, block, largest, id) => {
    const layer = block[block.length - 1], chosen = block.some(({ name }) => name === model.get("selected"));
    const bar = make("div", "cx-strip-bar", parent);
    bar.id = `${view}-${id}`;
    bar.setAttribute("role", "option");
    bar.setAttribute("aria-label", describe(block));
    bar.setAttribute("aria-selected", String(chosen));
    const side = Math.max(...layer.size), share = Math.log2(side + 1) / Math.log2(largest + 1);
    bar.style.height = `${Math.round(LOWEST + (TALLEST - LOWEST) * share)}px`;
    bar.style.background = COLOURS[layer.kind] ?? COLOURS.other;
    if (block.length > 1) {
      bar.classList.add("cx-strip-folded");
      make("span", "cx-strip-count", bar).textContent = String(block.length);
    } else make("span", "cx-strip-name", bar).textContent = layer.name;
    bar.addEventListener("mouseenter", () => say(block));
    bar.addEventListener("mouseleave", () => say(undefined));
    bar.addEventListener("click", () => {
      bars.focus();
      select(layer.name);
    });
    return bar;
  };

  const draw = () => {
    const all = layers(), selected = model.get("selected");
    const largest = Math.max(1, ...all.map(({ size }) => Math.max(...size)));
    const before = bars.scrollLeft;
    bars.replaceChildren();
    blocks = blocksOf(all, selected);
    nodes = [];
    let row = /** @type {HTMLElement | null} */ (null), size = "";
    for (const [k, block] of blocks.entries()) {
      const layer = block[block.length - 1], now = layer.size.join(" × ");
      if (row === null || now !== size) {
        const stage = make("div", "cx-strip-stage", bars);
        row = make("div", "cx-strip-row", stage);
        size = now;
        const label = make("div", "cx-strip-size", stage);
        label.textContent = size;
        label.title = `maps of ${size}`;
      }
      nodes.push(drawBlock(row, block, largest, k));
    }
    bars.scrollLeft = before;
    legend.replaceChildren();
    const present = new Set(all.map(({ kind }) => kind));
    for (const [kind, colour] of Object.entries(COLOURS)) {
      if (!present.has(kind)) continue;
      const entry = make("span", "", legend);
      make("i", "", entry).style.background = colour;
      entry.append(kind);
    }
    names.replaceChildren(...all.map(({ name }) => Object.assign(document.createElement("option"), { value: name })));
    find.hidden = all.length < 12;
    layOut();
    showChosen();
  };

  const layOut = () => { // the blocks fill the width, within limits
    const stages = bars.children.length, gaps = 8 * stages + nodes.length + 6;
    const wide = blocks.map((block) => 6 + 2.8 * Math.log2(block[block.length - 1].units + 1));
    const all = wide.reduce((sum, one) => sum + one, 0), room = bars.clientWidth - gaps;
    const scale = Math.min(2.2, Math.max(0.1, room / all));
    nodes.forEach((node, k) => {
      node.style.width = `${Math.max(blocks[k].length > 1 ? 17 : 5, Math.floor(scale * wide[k]))}px`;
    });
    // a name is shown where the whole of it has room
    for (const name of bars.querySelectorAll(".cx-strip-name")) {
      if (name instanceof HTMLElement) name.style.visibility = name.scrollWidth > name.clientWidth ? "hidden" : "";
    }
  };

  const showChosen = () => {
    const at = nodes.findIndex((node) => node.getAttribute("aria-selected") === "true");
    if (at >= 0) {
      bars.setAttribute("aria-activedescendant", nodes[at].id);
      const left = nodes[at].offsetLeft - bars.offsetLeft, right = left + nodes[at].offsetWidth;
      if (left < bars.scrollLeft) bars.scrollLeft = left - 20;
      else if (right > bars.scrollLeft + bars.clientWidth) bars.scrollLeft = right - bars.clientWidth + 20;
    }
    say(undefined);
    publish(root, { count: layers().length, blocks: blocks.length, selected: model.get("selected") });
  };

  const changed = () => {
    const selected = model.get("selected"), of = blocks.findIndex((block) => block.some((l) => l.name === selected));
    if (layers().length > MOST || of < 0) return draw(); // another block is open now
    nodes.forEach((node, k) => node.setAttribute("aria-selected", String(k === of)));
    showChosen();
  };

  /** @type {(event: KeyboardEvent) => void} */
  const pressKey = (event) => {
    const now = blocks.findIndex((block) => block.some(({ name }) => name === model.get("selected")));
    /** @type {Record<string, number>} */
    const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: blocks.length - 1 };
    if (!(event.key in to)) return;
    event.preventDefault();
    event.stopPropagation();
    const block = blocks[Math.min(Math.max(to[event.key], 0), blocks.length - 1)];
    if (block) select((event.key === "ArrowRight" ? block[0] : block[block.length - 1]).name);
  };

  bars.addEventListener("keydown", pressKey);
  find.addEventListener("change", () => {
    const typed = find.value.trim().toLowerCase(), all = layers();
    const found = all.find(({ name }) => name.toLowerCase() === typed)
      ?? (typed ? all.find(({ name }) => name.toLowerCase().includes(typed)) : undefined);
    if (found) select(found.name);
    else if (typed) text.textContent = `no layer has "${find.value}" in its name`;
    find.value = "";
  });
  const stopListening = listen(model, { layers: draw, selected: changed }, () => {});
  draw();
  const sizes = new ResizeObserver(layOut);
  sizes.observe(bars);
  return () => {
    sizes.disconnect();
    stopListening();
  };
}

export default { render };
