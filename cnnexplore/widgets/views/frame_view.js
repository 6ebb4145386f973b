// Pictures in a row. They are drawn as they arrive, and not at all while their panel is out of sight; the view tells the
// kernel which frame it has drawn.
import { announce, bytesOf, context, copyPixels, listen, make, newViewId, watchPanel } from "./shared.js";

/** @typedef {import("./shared.js").Model} Model */
/** @typedef {import("./shared.js").Message} Message */
/** @typedef {[number, number]} Position row and column */

/**
 * One picture of a batch.
 * @typedef {object} Tile
 * @property {HTMLElement} frame
 * @property {HTMLCanvasElement} canvas
 * @property {HTMLElement} box the outline over the picture
 * @property {CanvasRenderingContext2D} pen
 * @property {ImageData | null} image
 */

/**
 * A window that is being dragged.
 * @typedef {object} Drag
 * @property {Position} start
 * @property {number[]} box top, left, bottom, right, all included
 */

/**
 * A stroke of the brush.
 * @typedef {object} Stroke
 * @property {Position[]} cells
 * @property {HTMLCanvasElement} overlay
 * @property {CanvasRenderingContext2D} pen
 */

const ACK_FRAMES = 6; // an acknowledgement is due after so many frames,
const ACK_MS = 600; // or so many milliseconds
const RETURN_MS = 5000; // out of sight for longer, the view announces itself again: the kernel may have dropped it
const MOST_CELLS = 8000; // of a stroke; the kernel ignores longer ones

/**
 * @param {{ model: Model, el: HTMLElement }} given
 * @returns {() => void}
 */
function render({ model, el }) {
  const view = newViewId();
  const figure = make("figure", "cx-frame", el);
  const row = make("div", "cx-tiles", figure);
  const caption = make("figcaption", "", figure);
  /** @type {Tile[]} */
  const tiles = [];

  /** @type {{ seq: number, w: number, h: number, n: number, rgb: Uint8Array } | null} */
  let pending = null; // the newest frame that is not drawn yet
  let drawn = 0, acknowledged = 0, acknowledgedAt = 0; // frame numbers; the time of the last acknowledgement
  let asked = 0; // the number of the last message that only asks for an answer
  let newest = 0; // the number of the last frame that arrived
  let live = false, closed = false;
  let visible = true, hiddenSince = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {Drag | null} */
  let drag = null;
  /** @type {Stroke | null} */
  let stroke = null;
  /** @type {{ canvas: HTMLCanvasElement, mark: HTMLElement, at: Position } | null} */
  let cursor = null; // where the arrow keys are

  const updateSize = () => {
    const scale = model.get("scale");
    for (const { canvas } of tiles) {
      canvas.style.width = `${canvas.width * scale}px`;
      canvas.style.height = `${canvas.height * scale}px`;
    }
    const width = tiles[0].canvas.width * scale + 10; // a batch takes one row, or two where one would be too wide
    const columns = tiles.length * width <= 720 ? tiles.length : Math.ceil(tiles.length / 2);
    figure.classList.toggle("cx-cells", Boolean(model.get("cells")) && scale > 2);
    figure.style.setProperty("--cx-cell", `${scale}px`);
    row.style.maxWidth = `${width * (model.get("columns") || columns)}px`;
  };

  const updateCaption = () => {
    caption.textContent = model.get("caption");
    for (const [k, { canvas }] of tiles.entries()) {
      const which = tiles.length > 1 ? `, picture ${k + 1} of ${tiles.length}` : "";
      canvas.setAttribute("aria-label", `${model.get("caption") || "picture"}${which}`);
    }
  };

  const updateBox = () => { // top, left, bottom, right in pixel centres, all included; cut at the picture's edge
    const at = drag ? drag.box : model.get("box"), scale = model.get("scale");
    for (const { canvas, box } of tiles) {
      box.style.display = at.length === 4 ? "block" : "none";
      if (at.length !== 4) continue;
      const top = Math.max(at[0], 0), left = Math.max(at[1], 0);
      const bottom = Math.min(at[2], canvas.height - 1), right = Math.min(at[3], canvas.width - 1);
      Object.assign(box.style, {
        top: `${top * scale}px`,
        left: `${left * scale}px`,
        width: `${(right - left + 1) * scale}px`,
        height: `${(bottom - top + 1) * scale}px`,
      });
    }
  };

  const acknowledge = () => {
    clearTimeout(timer);
    timer = undefined;
    if (acknowledged === drawn || closed) return;
    acknowledged = drawn;
    acknowledgedAt = performance.now();
    model.send({ kind: "ack", view, seq: drawn });
  };

  const answer = () => { // a view that is not seen stays silent, so that the kernel pauses
    if (!visible || pending || asked <= drawn) return;
    drawn = asked;
    acknowledge();
  };

  const draw = () => {
    if (!pending || closed) return;
    const { seq, w, h, n, rgb } = pending;
    pending = null;
    arrange(n, w, h);
    for (const [k, tile] of tiles.entries()) {
      if (tile.image?.width !== w || tile.image?.height !== h) tile.image = new ImageData(w, h);
      copyPixels(rgb, k * w * h * 3, tile.image);
      tile.pen.putImageData(tile.image, 0, 0);
      tile.canvas.dataset.frames = String(Number(tile.canvas.dataset.frames ?? 0) + 1);
    }
    live = true;
    drawn = Math.max(seq, asked);
    const due = drawn - acknowledged >= ACK_FRAMES || performance.now() - acknowledgedAt > ACK_MS;
    if (due) acknowledge();
    else timer ??= setTimeout(acknowledge, ACK_MS);
  };

  /** @type {(content: Message, buffers: DataView[]) => void} */
  const receive = (content, buffers) => {
    if (content.kind === "probe") {
      asked = content.seq;
      answer();
    }
    if (content.kind === "here" && content.view === view && content.seq <= newest) announcement.answered();
    if (content.kind !== "frame") return;
    const waiting = pending !== null, { seq, w, h, n } = content;
    newest = seq;
    pending = { seq, w, h, n, rgb: bytesOf(buffers[0]) };
    if (!waiting && visible) requestAnimationFrame(draw);
  };

  const drawPoster = async () => { // what a saved notebook shows before a kernel runs, or without one
    const bytes = model.get("poster");
    if (live || !bytes?.byteLength) return;
    const picture = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    if (live || closed) return;
    arrange(1, picture.width, picture.height);
    tiles[0].pen.drawImage(picture, 0, 0);
  };

  /** @type {(event: MouseEvent, canvas: HTMLCanvasElement) => Position} */
  const cellAt = (event, canvas) => {
    const at = canvas.getBoundingClientRect(), scale = at.width / canvas.width; // a narrow panel shows it smaller
    /** @type {(value: number, count: number) => number} */
    const inside = (value, count) => Math.min(Math.max(Math.floor(value / scale), 0), count - 1);
    return [inside(event.clientY - at.top, canvas.height), inside(event.clientX - at.left, canvas.width)];
  };

  /** @type {(event: PointerEvent, canvas: HTMLCanvasElement) => void} */
  const press = (event, canvas) => {
    if (event.button !== 0 || !(model.get("brush") || model.get("windows"))) return;
    canvas.setPointerCapture(event.pointerId);
    if (model.get("brush")) {
      const overlay = make("canvas", "cx-stroke", /** @type {Node} */ (canvas.parentNode));
      Object.assign(overlay, { width: canvas.width, height: canvas.height });
      Object.assign(overlay.style, { width: canvas.style.width, height: canvas.style.height });
      stroke = { cells: [], overlay, pen: context(overlay) };
    } else {
      const start = cellAt(event, canvas);
      drag = { start, box: [...start, ...start] };
    }
    move(event, canvas);
  };

  /** @type {(stroke: Stroke, to: Position) => void} */
  const paint = ({ cells, pen }, to) => {
    const from = cells[cells.length - 1] ?? to;
    if (cells.length && from[0] === to[0] && from[1] === to[1]) return;
    if (cells.length < MOST_CELLS) cells.push(to);
    const strokeStyle = model.get("erases") ? "#fff" : "#e0007a";
    Object.assign(pen, { lineWidth: model.get("brush"), lineCap: "round", strokeStyle });
    pen.beginPath();
    pen.moveTo(from[1] + 0.5, from[0] + 0.5);
    pen.lineTo(to[1] + 0.51, to[0] + 0.5); // a line of no length would not be drawn
    pen.stroke();
  };

  /** @type {(event: PointerEvent, canvas: HTMLCanvasElement) => void} */
  const move = (event, canvas) => {
    const to = cellAt(event, canvas);
    if (stroke) paint(stroke, to);
    if (!drag) return;
    const [row, column] = drag.start;
    drag.box = [Math.min(row, to[0]), Math.min(column, to[1]), Math.max(row, to[0]), Math.max(column, to[1])];
    updateBox();
  };

  const release = () => {
    if (stroke) {
      const brush = model.get("brush"), erases = model.get("erases"), { cells, overlay } = stroke;
      model.send({ kind: "stroke", view, cells, brush, erases });
      setTimeout(() => overlay.remove(), 400); // by then the kernel has answered with its picture
      stroke = null;
    }
    if (drag) {
      const [top, left, bottom, right] = drag.box;
      model.send({ kind: "window", view, window: [top, left, bottom + 1, right + 1] });
      drag = null; // the box stays where it is until the kernel answers
    }
  };

  const cancel = () => {
    stroke?.overlay.remove();
    drag = stroke = null;
    updateBox();
  };

  /** @type {(event: MouseEvent, canvas: HTMLCanvasElement) => void} */
  const pick = (event, canvas) => {
    if (model.get("windows") || model.get("brush")) return;
    const [row, column] = cellAt(event, canvas);
    model.send({ kind: "pick", view, row, column, item: tiles.findIndex((tile) => tile.canvas === canvas) });
  };

  const hideCursor = () => {
    cursor?.mark.remove();
    cursor = null;
  };

  /**
   * The arrow keys move a cursor over the picture, with Shift by more pixels; Enter does there what a click does.
   * @type {(event: KeyboardEvent, canvas: HTMLCanvasElement) => void}
   */
  const pressKey = (event, canvas) => {
    /** @type {Record<string, Position>} */
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const { width, height } = canvas, scale = model.get("scale"), step = steps[event.key];
    if (step) {
      if (cursor?.canvas !== canvas) {
        hideCursor();
        const mark = make("div", "cx-cursor", /** @type {Node} */ (canvas.parentNode));
        cursor = { canvas, mark, at: [Math.floor(height / 2), Math.floor(width / 2)] };
      } else {
        const by = model.get("cells") ? 1 : event.shiftKey ? 8 : 2;
        cursor.at = [
          Math.min(Math.max(cursor.at[0] + by * step[0], 0), height - 1),
          Math.min(Math.max(cursor.at[1] + by * step[1], 0), width - 1),
        ];
      }
      const side = Math.max(scale, 7), [row, column] = cursor.at;
      Object.assign(cursor.mark.style, {
        left: `${(column + 0.5) * scale - side / 2}px`, top: `${(row + 0.5) * scale - side / 2}px`,
        width: `${side}px`, height: `${side}px`,
      });
      const where = `row ${row}, column ${column}`;
      canvas.setAttribute("aria-label", `${model.get("caption") || "picture"}; ${where}; Enter chooses it`);
    } else if ((event.key === "Enter" || event.key === " ") && cursor?.canvas === canvas) {
      const [row, column] = cursor.at;
      if (model.get("brush")) {
        const brush = model.get("brush"), erases = model.get("erases");
        model.send({ kind: "stroke", view, cells: [[row, column]], brush, erases });
      } else if (model.get("windows")) model.send({ kind: "window", view, window: [row, column, row + 1, column + 1] });
      else model.send({ kind: "pick", view, row, column, item: tiles.findIndex((tile) => tile.canvas === canvas) });
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  /** @type {(count: number, width: number, height: number) => void} */
  function arrange(count, width, height) {
    let changed = tiles.length !== count;
    for (const tile of tiles.splice(count)) tile.frame.remove();
    while (tiles.length < count) {
      const frame = make("div", "cx-tile", row), canvas = make("canvas", "", frame), box = make("div", "cx-box", frame);
      canvas.addEventListener("click", (event) => pick(event, canvas));
      canvas.addEventListener("pointerdown", (event) => press(event, canvas));
      canvas.addEventListener("pointermove", (event) => move(event, canvas));
      canvas.addEventListener("pointerup", release);
      canvas.addEventListener("pointercancel", cancel);
      canvas.tabIndex = 0;
      canvas.setAttribute("role", "img");
      canvas.addEventListener("keydown", (event) => pressKey(event, canvas));
      canvas.addEventListener("blur", hideCursor);
      tiles.push({ frame, canvas, box, pen: context(canvas), image: null });
    }
    for (const { canvas } of tiles) {
      if (canvas.width === width && canvas.height === height) continue;
      canvas.width = width;
      canvas.height = height;
      changed = true;
    }
    if (changed) {
      updateSize();
      updateBox();
      updateCaption();
    }
  }

  /** @type {(inSight: boolean) => void} */
  const updateVisibility = (inSight) => {
    visible = inSight;
    if (!visible) {
      hiddenSince = performance.now();
      return;
    }
    if (pending) requestAnimationFrame(draw);
    answer();
    if (performance.now() - hiddenSince > RETURN_MS) announcement.tell();
  };
  /** @type {(away: boolean) => void} */
  const leave = (away) => { // the run pauses, and goes on
    if (!away) return announcement.tell();
    announcement.end();
    model.send({ kind: "gone", view });
  };

  arrange(1, model.get("width"), model.get("height"));
  updateSize();
  updateCaption();
  updateBox();
  drawPoster();
  const stopWatching = watchPanel(el, updateVisibility, leave);
  const scale = () => { updateSize(); updateBox(); };
  const changes = { scale, columns: updateSize, cells: updateSize, caption: updateCaption, box: updateBox, poster: drawPoster };
  const stopListening = listen(model, changes, receive);
  const announcement = announce(model, view);
  return () => {
    closed = true;
    announcement.end();
    clearTimeout(timer);
    stopWatching();
    stopListening();
    model.send({ kind: "gone", view });
  };
}

export default { render };
