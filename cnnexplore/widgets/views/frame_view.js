// Pictures in a row that are drawn as they come, say which frame was drawn, and cost nothing while nobody looks.
const make = (tag, name, parent) => {
  const node = document.createElement(tag);
  node.className = name;
  parent.append(node);
  return node;
};

export default {
  render({ model, el }) {
    const view = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
    const figure = make("figure", "cx-frame", el);
    const row = make("div", "cx-tiles", figure);
    const caption = make("figcaption", "", figure);
    const tiles = []; // of a batch, one picture each: { stage, canvas, box, pen, sheet }

    let pending = null, frame = null; // the newest frame that is not drawn yet, and the one on the screen
    let drawn = 0, acknowledged = 0, acknowledgedAt = 0, live = false, visible = true, timer = null, gone = false;
    let dragged = null; // where a window was begun, and the box as it is now
    let stroke = null; // the cells that a brush has gone over, and the canvas that shows them

    const fit = () => {
      const scale = model.get("scale");
      for (const { canvas } of tiles) {
        canvas.style.width = `${canvas.width * scale}px`;
        canvas.style.height = `${canvas.height * scale}px`;
      }
      const wide = tiles[0].canvas.width * scale + 10; // a batch stands in one row or, where that is too wide, two
      const fits = tiles.length * wide <= 720 ? tiles.length : Math.ceil(tiles.length / 2);
      row.style.maxWidth = `${wide * (model.get("columns") || fits)}px`;
    };
    const label = () => { caption.textContent = model.get("caption"); };
    const outline = () => { // (top, left, bottom, right) in pixel centres, both ends included; cut at the picture's edge
      const at = dragged?.box ?? model.get("box"), scale = model.get("scale");
      for (const { canvas, box } of tiles) {
        box.style.display = at.length === 4 ? "block" : "none";
        if (at.length !== 4) continue;
        const top = Math.max(at[0], 0), left = Math.max(at[1], 0);
        const bottom = Math.min(at[2], canvas.height - 1), right = Math.min(at[3], canvas.width - 1);
        Object.assign(box.style, {
          top: `${top * scale}px`, left: `${left * scale}px`,
          width: `${(right - left + 1) * scale}px`, height: `${(bottom - top + 1) * scale}px`,
        });
      }
    };
    const acknowledge = () => {
      clearTimeout(timer);
      timer = null;
      if (acknowledged === drawn || gone) return;
      acknowledged = drawn;
      acknowledgedAt = performance.now();
      model.send({ kind: "ack", view, seq: drawn });
    };
    const draw = () => {
      if (!pending || gone) return;
      frame = pending;
      pending = null;
      const { seq, w, h, n, rgb } = frame;
      arrange(n, w, h);
      for (const [k, tile] of tiles.entries()) {
        if (tile.sheet?.width !== w || tile.sheet?.height !== h) { tile.sheet = new ImageData(w, h); tile.sheet.data.fill(255); }
        const out = tile.sheet.data, end = (k + 1) * w * h * 3;
        for (let i = k * w * h * 3, o = 0; i < end; i += 3, o += 4) { out[o] = rgb[i]; out[o + 1] = rgb[i + 1]; out[o + 2] = rgb[i + 2]; }
        tile.pen.putImageData(tile.sheet, 0, 0);
        tile.canvas.drawn = (tile.canvas.drawn ?? 0) + 1;
      }
      live = true;
      drawn = seq;
      if (drawn - acknowledged >= 6 || performance.now() - acknowledgedAt > 600) acknowledge();
      else timer ??= setTimeout(acknowledge, 600);
    };
    const receive = (content, buffers) => {
      if (content.kind !== "frame") return;
      const waiting = pending !== null;
      const b = buffers[0], { seq, w, h, n } = content;
      pending = { seq, w, h, n, rgb: new Uint8Array(b.buffer, b.byteOffset, b.byteLength) };
      if (!waiting && visible) requestAnimationFrame(draw);
    };
    const poster = async () => { // what a saved notebook shows before, or without, a kernel
      const bytes = model.get("poster");
      if (live || !bytes?.byteLength) return;
      const picture = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
      if (live || gone) return;
      arrange(1, picture.width, picture.height);
      tiles[0].pen.drawImage(picture, 0, 0);
    };
    const cell = (event, canvas) => {
      const scale = model.get("scale"), at = canvas.getBoundingClientRect();
      const inside = (v, n) => Math.min(Math.max(Math.floor(v / scale), 0), n - 1);
      return [inside(event.clientY - at.top, canvas.height), inside(event.clientX - at.left, canvas.width)];
    };
    const press = (event, canvas) => {
      if (event.button !== 0) return;
      if (model.get("brush")) {
        canvas.setPointerCapture(event.pointerId);
        stroke = { cells: [], over: make("canvas", "cx-stroke", canvas.parentNode) };
        Object.assign(stroke.over, { width: canvas.width, height: canvas.height });
        Object.assign(stroke.over.style, { width: canvas.style.width, height: canvas.style.height });
        stroke.pen = stroke.over.getContext("2d");
        paint(event, canvas);
      }
      if (!model.get("windows")) return;
      canvas.setPointerCapture(event.pointerId);
      dragged = { from: cell(event, canvas) };
      move(event, canvas);
    };
    const paint = (event, canvas) => {
      const at = cell(event, canvas), { cells, pen } = stroke, from = cells[cells.length - 1] ?? at;
      cells.push(at);
      Object.assign(pen, { lineWidth: model.get("brush"), lineCap: "round", strokeStyle: model.get("erases") ? "#fff" : "#e0007a" });
      pen.beginPath();
      pen.moveTo(from[1] + 0.5, from[0] + 0.5);
      pen.lineTo(at[1] + 0.51, at[0] + 0.5);
      pen.stroke();
    };
    const move = (event, canvas) => {
      if (stroke) paint(event, canvas);
      if (!dragged) return;
      const [a, b] = [dragged.from, cell(event, canvas)];
      dragged.box = [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
      outline();
    };
    const release = () => {
      if (stroke) {
        model.send({ kind: "stroke", view, cells: stroke.cells, brush: model.get("brush"), erases: model.get("erases") });
        setTimeout((over) => over.remove(), 400, stroke.over); // by then the kernel has answered with its picture
        stroke = null;
      }
      if (!dragged) return;
      const [top, left, bottom, right] = dragged.box;
      model.send({ kind: "window", view, window: [top, left, bottom + 1, right + 1] });
      dragged = null; // the box stays where it is until the kernel answers
    };
    const pick = (event, canvas) => {
      if (model.get("windows") || model.get("brush")) return;
      const [row, column] = cell(event, canvas);
      model.send({ kind: "pick", view, row, column, item: tiles.findIndex((tile) => tile.canvas === canvas) });
    };
    const watcher = new IntersectionObserver((entries) => {
      const now = entries[entries.length - 1].isIntersecting;
      if (now && !visible && pending) requestAnimationFrame(draw);
      visible = now;
    });
    function arrange(n, w, h) { // n tiles of w x h pixels
      let changed = tiles.length !== n;
      while (tiles.length > n) tiles.pop().stage.remove();
      while (tiles.length < n) {
        const stage = make("div", "cx-stage", row), canvas = make("canvas", "", stage), box = make("div", "cx-box", stage);
        canvas.addEventListener("click", (event) => pick(event, canvas));
        canvas.addEventListener("pointerdown", (event) => press(event, canvas));
        canvas.addEventListener("pointermove", (event) => move(event, canvas));
        canvas.addEventListener("pointerup", release);
        canvas.addEventListener("pointercancel", () => { dragged = null; stroke?.over.remove(); stroke = null; outline(); });
        tiles.push({ stage, canvas, box, pen: canvas.getContext("2d") });
      }
      for (const { canvas } of tiles) {
        if (canvas.width === w && canvas.height === h) continue;
        canvas.width = w;
        canvas.height = h;
        changed = true;
      }
      if (changed) { fit(); outline(); }
    }

    arrange(1, model.get("width"), model.get("height"));
    fit(); label(); outline(); poster();
    watcher.observe(row);
    const changes = { "change:scale": () => { fit(); outline(); }, "change:columns": fit, "change:caption": label, "change:box": outline, "change:poster": poster };
    for (const [name, act] of Object.entries(changes)) model.on(name, act);
    model.on("msg:custom", receive);
    model.send({ kind: "ready", view });
    return () => {
      gone = true;
      clearTimeout(timer);
      watcher.disconnect();
      for (const [name, act] of Object.entries(changes)) model.off(name, act);
      model.off("msg:custom", receive);
      model.send({ kind: "gone", view });
    };
  },
};
