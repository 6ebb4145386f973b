// A canvas that draws frames as they come, says which it has drawn, and costs nothing while nobody looks.
export default {
  render({ model, el }) {
    const view = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
    const figure = document.createElement("figure");
    const stage = document.createElement("div");
    const canvas = document.createElement("canvas");
    const box = document.createElement("div");
    const caption = document.createElement("figcaption");
    figure.className = "cx-frame";
    stage.className = "cx-stage";
    box.className = "cx-box";
    stage.append(canvas, box);
    figure.append(stage, caption);
    el.append(figure);
    const pen = canvas.getContext("2d");

    let pending = null, sheet = null; // the newest frame that is not drawn yet, and what is drawn from
    let drawn = 0, acknowledged = 0, acknowledgedAt = 0, live = false, visible = true, timer = null, gone = false;

    const fit = () => {
      const scale = model.get("scale");
      canvas.style.width = `${canvas.width * scale}px`;
      canvas.style.height = `${canvas.height * scale}px`;
    };
    const label = () => { caption.textContent = model.get("caption"); };
    const outline = () => { // (top, left, bottom, right) in pixel centres, both ends included
      const at = model.get("box"), scale = model.get("scale");
      box.style.display = at.length === 4 ? "block" : "none";
      if (at.length !== 4) return;
      const [top, left, bottom, right] = at;
      Object.assign(box.style, {
        top: `${top * scale}px`, left: `${left * scale}px`,
        width: `${(right - left + 1) * scale}px`, height: `${(bottom - top + 1) * scale}px`,
      });
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
      const { seq, w, h, rgb } = pending;
      pending = null;
      if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; fit(); outline(); }
      if (sheet?.width !== w || sheet?.height !== h) { sheet = new ImageData(w, h); sheet.data.fill(255); }
      const out = sheet.data;
      for (let i = 0, k = 0; i < w * h * 3; i += 3, k += 4) { out[k] = rgb[i]; out[k + 1] = rgb[i + 1]; out[k + 2] = rgb[i + 2]; }
      pen.putImageData(sheet, 0, 0);
      live = true;
      drawn = seq;
      canvas.drawn = (canvas.drawn ?? 0) + 1;
      if (drawn - acknowledged >= 6 || performance.now() - acknowledgedAt > 600) acknowledge();
      else timer ??= setTimeout(acknowledge, 600);
    };
    const receive = (content, buffers) => {
      if (content.kind !== "frame") return;
      const waiting = pending !== null;
      const b = buffers[0];
      pending = { seq: content.seq, w: content.w, h: content.h, rgb: new Uint8Array(b.buffer, b.byteOffset, b.byteLength) };
      if (!waiting && visible) requestAnimationFrame(draw);
    };
    const poster = async () => { // what a saved notebook shows before, or without, a kernel
      const bytes = model.get("poster");
      if (live || !bytes?.byteLength) return;
      const picture = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
      if (live || gone) return;
      canvas.width = picture.width;
      canvas.height = picture.height;
      fit();
      pen.drawImage(picture, 0, 0);
    };
    const pick = (event) => {
      const scale = model.get("scale"), at = canvas.getBoundingClientRect();
      const row = Math.floor((event.clientY - at.top) / scale), column = Math.floor((event.clientX - at.left) / scale);
      model.send({ kind: "pick", view, row, column });
    };
    const watcher = new IntersectionObserver((entries) => {
      const now = entries[entries.length - 1].isIntersecting;
      if (now && !visible && pending) requestAnimationFrame(draw);
      visible = now;
    });

    canvas.width = model.get("width");
    canvas.height = model.get("height");
    fit(); label(); outline(); poster();
    canvas.addEventListener("click", pick);
    watcher.observe(canvas);
    const changes = { "change:scale": () => { fit(); outline(); }, "change:caption": label, "change:box": outline, "change:poster": poster };
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
