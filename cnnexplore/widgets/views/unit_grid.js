// Thumbnails of a layer's units. Sprite sheets hold all of them; one canvas paints the rows that are in sight.
import { announce, bytesOf, context, copyPixels, cssVariable, listen, make, newViewId, onTheme, publish, shortened, watchPanel } from "./shared.js";

/** @typedef {import("./shared.js").Model} Model */
/** @typedef {import("./shared.js").Message} Message */

const PAGE = 16; // a sheet holds PAGE x PAGE sprites
const GAP = 4; // pixels between thumbnails
const LABEL = 16; // height of a caption under a thumbnail
const ACK_MS = 250; // sprites are acknowledged at most so often

/**
 * @param {{ model: Model, el: HTMLElement }} given
 * @returns {() => void}
 */
function render({ model, el }) {
  const view = newViewId();
  const root = make("div", "cx-units", el);
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // the grid takes the arrow keys, JupyterLab does not
  const head = make("div", "cx-units-head", root);
  const title = make("span", "cx-units-title", head);
  const right = make("span", "cx-units-note", head);
  const note = make("span", "", right);
  const action = make("button", "cx-units-act", right);
  const bar = make("div", "cx-units-bar", root);
  const progress = make("div", "", bar);
  const port = make("div", "cx-units-port", root);
  port.tabIndex = 0;
  port.setAttribute("role", "listbox");
  const option = make("div", "cx-units-option", port); // the selected thumbnail, for screen readers
  option.id = `cx-option-${view}`;
  option.setAttribute("role", "option");
  const content = make("div", "cx-units-tall", port);
  const canvas = make("canvas", "cx-units-canvas", content);
  const pen = context(canvas);
  const lens = make("div", "cx-units-lens", document.body); // a child of the page, so that no cell's edge cuts it
  const lensCanvas = make("canvas", "", lens);
  const lensCaption = make("div", "", lens);

  /** @type {HTMLCanvasElement[]} */
  let sheets = [];
  /** @type {Set<number>} */
  let received = new Set(); // units of which there is a thumbnail
  /** @type {number[]} */
  let order = []; // units, as they are shown
  /** @type {Map<number, number>} */
  let indexOf = new Map(); // where a unit is in that order
  let resets = -1; // thumbnails of an earlier number are not drawn; those of a later one empty the grid
  let side = 1, shown = 1, cell = 1, tall = 1, columns = 1; // sizes in pixels: a cell is `cell` wide and `tall` high
  let hovered = -1; // the unit under the mouse
  let frameRequest = 0, acknowledgedAt = 0, closed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let ackTimer;

  /** @type {(unit: number) => string} */
  const captionOf = (unit) => model.get("captions")[unit] ?? `unit ${unit}`;

  /**
   * What stands in place of a thumbnail: a word and its reason.
   * @type {(unit: number) => [string, string] | undefined}
   */
  const wordOf = (unit) => (model.get("words") ?? {})[unit];

  const updateCell = () => {
    cell = shown + GAP;
    tall = cell + (model.get("labelled") ? LABEL : 0);
  };

  /** @type {(unit: number) => { page: number, x: number, y: number }} */
  const spriteOf = (unit) => {
    const page = Math.floor(unit / PAGE ** 2), k = unit % PAGE ** 2;
    return { page, x: (k % PAGE) * side, y: Math.floor(k / PAGE) * side };
  };

  /** @type {(next: { resets: number, side: number, shown: number }) => void} */
  const clear = (next) => {
    ({ resets, side, shown } = next);
    updateCell();
    sheets = [];
    received = new Set();
  };

  const updateOrder = () => {
    const count = model.get("count"), given = model.get("order");
    order = given.length === count ? given : [...Array(count).keys()];
    indexOf = new Map(order.map((unit, k) => [unit, k]));
    updateLayout();
  };

  const updateLayout = () => {
    columns = Math.max(1, Math.floor((port.clientWidth - GAP) / cell));
    content.style.height = `${Math.ceil(order.length / columns) * tall + GAP}px`;
    port.style.maxHeight = `${Math.round(tall * model.get("rows") + GAP)}px`;
    repaint();
  };

  const repaint = () => {
    frameRequest ||= requestAnimationFrame(paint);
  };

  function paint() {
    frameRequest = 0;
    if (closed) return;
    const width = port.clientWidth, height = port.clientHeight, dpr = window.devicePixelRatio || 1;
    const top = port.scrollTop, selected = model.get("selected");
    if (canvas.width !== Math.round(width * dpr) || canvas.height !== Math.round(height * dpr)) {
      canvas.width = Math.round(width * dpr);
      canvas.height = Math.round(height * dpr);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    pen.setTransform(dpr, 0, 0, dpr, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.imageSmoothingQuality = "high";
    pen.imageSmoothingEnabled = shown * dpr < side;
    const empty = cssVariable(root, "--jp-layout-color2", "#eee");
    const ink = cssVariable(root, "--jp-ui-font-color2", "#555");
    const brand = cssVariable(root, "--jp-brand-color1", "#1976d2");
    const first = Math.floor(top / tall) * columns;
    const last = Math.min(order.length, Math.ceil((top + height) / tall) * columns);
    /** @type {(x: number, y: number, colour: string, thickness: number) => void} */
    const frame = (x, y, colour, thickness) => {
      pen.strokeStyle = colour;
      pen.lineWidth = thickness;
      pen.strokeRect(x - thickness / 2, y - thickness / 2, shown + thickness, shown + thickness);
    };
    const strong = cssVariable(root, "--jp-ui-font-color1", "#222"), labelled = model.get("labelled");
    pen.font = `11px ${cssVariable(root, "--jp-ui-font-family", "sans-serif")}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    for (let k = first; k < last; k++) {
      const unit = order[k], x = GAP + (k % columns) * cell, y = GAP + Math.floor(k / columns) * tall - top;
      if (received.has(unit)) {
        const sprite = spriteOf(unit);
        pen.drawImage(sheets[sprite.page], sprite.x, sprite.y, side, side, x, y, shown, shown);
      } else {
        pen.fillStyle = empty;
        pen.fillRect(x, y, shown, shown);
        pen.fillStyle = ink;
        const word = wordOf(unit);
        if (word) pen.fillText(shortened(pen, word[0], shown - 4), x + shown / 2, y + shown / 2);
      }
      if (labelled) {
        pen.fillStyle = unit === selected ? strong : ink;
        pen.fillText(shortened(pen, captionOf(unit), shown), x + shown / 2, y + shown + LABEL / 2 + 2);
      }
      if (unit === selected) frame(x, y, brand, 3);
      else if (unit === hovered) frame(x, y, ink, 1);
    }
    canvas.dataset.frames = String(Number(canvas.dataset.frames ?? 0) + 1);
    publish(root, { count: order.length, done: received.size, selected, columns, top, cell, tall });
  }

  const updateText = () => {
    const selected = model.get("selected"), count = model.get("count"), words = Object.keys(model.get("words") ?? {});
    const done = received.size + words.filter((unit) => !received.has(Number(unit))).length;
    const share = count ? done / count : 0, name = model.get("label") || "units", word = wordOf(selected)?.join(": ");
    title.textContent = selected >= 0 ? captionOf(selected) : "";
    note.textContent = [word, model.get("note")].filter(Boolean).join(" · ");
    port.setAttribute("aria-label", `${name}, ${count}`);
    option.textContent = selected >= 0 ? [captionOf(selected), word].filter(Boolean).join(", ") : "";
    option.setAttribute("aria-selected", String(selected >= 0));
    option.setAttribute("aria-setsize", String(count));
    option.setAttribute("aria-posinset", String((indexOf.get(selected) ?? 0) + 1));
    option.hidden = selected < 0;
    if (selected >= 0) port.setAttribute("aria-activedescendant", option.id);
    else port.removeAttribute("aria-activedescendant");
    action.textContent = model.get("action");
    action.hidden = !model.get("action");
    progress.style.width = `${share < 1 ? 100 * share : 0}%`;
    bar.title = `${done} of ${count}`;
  };

  const acknowledge = () => {
    clearTimeout(ackTimer);
    ackTimer = undefined;
    acknowledgedAt = performance.now();
    if (!closed) model.send({ kind: "ack", view });
  };

  /** @type {(units: number[], rgb: Uint8Array) => void} */
  const store = (units, rgb) => {
    const tile = new ImageData(side, side);
    units.forEach((unit, n) => {
      copyPixels(rgb, n * side * side * 3, tile);
      const { page, x, y } = spriteOf(unit);
      if (!sheets[page]) {
        sheets[page] = document.createElement("canvas");
        sheets[page].width = sheets[page].height = PAGE * side;
      }
      context(sheets[page]).putImageData(tile, x, y);
      received.add(unit);
    });
    if (units.includes(hovered)) enlarge(hovered);
  };

  /** @type {(content: Message, buffers: DataView[]) => void} */
  const receive = (content, buffers) => {
    if (content.kind === "sprites" || content.kind === "probe") {
      if (performance.now() - acknowledgedAt > ACK_MS) acknowledge();
      else ackTimer ??= setTimeout(acknowledge, ACK_MS);
    }
    if (content.kind === "here" && content.view === view) {
      if (content.resets === resets && content.done <= received.size) announcement.answered();
      return; // else thumbnails were lost, and are asked for again
    }
    if (content.kind !== "clear" && content.kind !== "sprites" && content.kind !== "gone") return;
    if (content.resets > resets) { // in whatever order this, other messages and the traits of the change come
      clear(/** @type {any} */ (content));
      updateOrder();
    }
    if (content.kind === "sprites" && content.resets === resets) {
      store(content.units, bytesOf(buffers[0]));
      repaint();
    }
    if (content.kind === "gone" && content.resets === resets) {
      for (const unit of content.units) received.delete(unit);
      repaint();
    }
    updateText();
  };

  const sizesOf = () => ({ resets: model.get("resets"), side: model.get("side"), shown: model.get("shown") });

  const updateSizes = () => {
    const next = sizesOf();
    if (next.resets > resets) clear(next);
    else if (next.resets === resets) {
      shown = next.shown;
      updateCell();
    }
    updateOrder();
    updateText();
  };

  /** @type {(event: MouseEvent) => number} */
  const unitAt = (event) => {
    const at = port.getBoundingClientRect();
    const x = event.clientX - at.left - port.clientLeft - GAP;
    const y = event.clientY - at.top - port.clientTop + port.scrollTop - GAP;
    const column = Math.floor(x / cell), k = Math.floor(y / tall) * columns + column;
    return x >= 0 && y >= 0 && column < columns && k < order.length ? order[k] : -1;
  };

  /** @type {(unit: number) => void} */
  const enlarge = (unit) => {
    hovered = unit;
    const drawn = received.has(unit), word = wordOf(unit);
    lens.style.display = unit >= 0 && (drawn || word) ? "block" : "none";
    repaint();
    if (unit < 0 || !(drawn || word)) return;
    const times = Math.ceil(160 / side);
    lensCanvas.style.display = drawn ? "block" : "none";
    if (drawn) {
      const { page, x, y } = spriteOf(unit);
      Object.assign(lensCanvas, { width: side, height: side });
      context(lensCanvas).drawImage(sheets[page], x, y, side, side, 0, 0, side, side);
      lensCanvas.style.width = lensCanvas.style.height = `${side * times}px`;
    }
    lensCaption.textContent = [captionOf(unit), ...(drawn || !word ? [] : word)].join(": ");
    const at = port.getBoundingClientRect(), k = indexOf.get(unit) ?? 0, size = side * times + 16;
    const left = at.left + GAP + (k % columns) * cell;
    const top = at.top + GAP + Math.floor(k / columns) * tall - port.scrollTop;
    lens.style.left = `${left + shown + 8 + size > window.innerWidth ? left - size - 4 : left + shown + 8}px`;
    lens.style.top = `${Math.max(8, Math.min(top + shown / 2 - size / 2, window.innerHeight - size - 30))}px`;
  };

  /** @type {(unit: number) => void} */
  const select = (unit) => {
    if (unit < 0 || unit === model.get("selected")) return;
    model.set("selected", unit);
    model.save_changes();
  };

  const scrollToSelected = () => {
    const k = indexOf.get(model.get("selected"));
    if (k === undefined) return;
    const top = Math.floor(k / columns) * tall, bottom = top + tall + GAP;
    if (top < port.scrollTop) port.scrollTop = top;
    else if (bottom > port.scrollTop + port.clientHeight) port.scrollTop = bottom - port.clientHeight;
  };

  /** @type {(event: KeyboardEvent) => void} */
  const pressKey = (event) => {
    /** @type {Record<string, number>} */
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -1e9, End: 1e9 };
    if (!(event.key in steps) || !order.length) return;
    event.preventDefault();
    event.stopPropagation();
    const now = indexOf.get(model.get("selected")) ?? 0, last = order.length - 1, to = now + steps[event.key];
    const noSuchRow = Math.abs(steps[event.key]) === columns && (to < 0 || to > last);
    enlarge(-1);
    select(order[noSuchRow ? now : Math.min(Math.max(to, 0), last)]);
  };

  const updateNames = () => {
    updateText();
    repaint();
  };

  const updateSelected = () => {
    updateText();
    scrollToSelected();
    repaint();
  };

  clear(sizesOf());
  updateOrder();
  updateText();
  action.addEventListener("click", () => model.send({ kind: "action", view }));
  port.addEventListener("scroll", () => {
    enlarge(-1);
    repaint();
  });
  port.addEventListener("mousemove", (event) => {
    const unit = unitAt(event);
    if (unit !== hovered) enlarge(unit);
  });
  port.addEventListener("mouseleave", () => enlarge(-1));
  port.addEventListener("click", (event) => {
    port.focus();
    select(unitAt(event));
  });
  port.addEventListener("keydown", pressKey);
  const sizes = new ResizeObserver(updateLayout);
  sizes.observe(port);
  const stopTheme = onTheme(repaint);
  /** @type {(away: boolean) => void} */
  const leave = (away) => {
    if (!away) return announcement.tell();
    announcement.end();
    model.send({ kind: "gone", view });
  };
  const stopWatching = watchPanel(el, () => {}, leave);
  const stopListening = listen(
    model,
    {
      count: updateOrder, order: updateOrder, resets: updateSizes, shown: updateSizes, selected: updateSelected,
      captions: updateNames, words: updateNames, labelled: updateSizes, rows: updateLayout, label: updateText,
      note: updateText, action: updateText,
    },
    receive,
  );
  const announcement = announce(model, view);
  return () => {
    closed = true;
    announcement.end();
    clearTimeout(ackTimer);
    sizes.disconnect();
    stopTheme();
    stopWatching();
    lens.remove();
    stopListening();
    model.send({ kind: "gone", view });
  };
}

export default { render };
