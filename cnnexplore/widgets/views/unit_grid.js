// A layer's units as thumbnails: sprite sheets, of which one canvas paints the rows that are in sight.
const PAGE = 16; // a sheet holds PAGE x PAGE sprites
const GAP = 4;
const make = (tag, name, parent) => {
  const node = document.createElement(tag);
  node.className = name;
  parent.append(node);
  return node;
};

export default {
  render({ model, el }) {
    const view = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
    const root = make("div", "cx-units", el);
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // arrow keys are the grid's here, not JupyterLab's
    const head = make("div", "cx-units-head", root);
    const title = make("span", "cx-units-title", head);
    const right = make("span", "cx-units-note", head);
    const note = make("span", "", right);
    const act = make("button", "cx-units-act", right);
    const bar = make("div", "cx-units-bar", root);
    const filled = make("div", "", bar);
    const port = make("div", "cx-units-port", root);
    port.tabIndex = 0;
    port.setAttribute("role", "listbox");
    port.setAttribute("aria-label", "units");
    const tall = make("div", "cx-units-tall", port);
    const canvas = make("canvas", "cx-units-canvas", tall);
    const pen = canvas.getContext("2d");
    const lens = make("div", "cx-units-lens", document.body); // over everything, so that no edge cuts it
    const large = make("canvas", "", lens);
    const words = make("div", "", lens);

    let sheets = [], have = new Set(), places = [], place = new Map(), columns = 1, hovered = -1, due = null, gone = false;
    let cell = 1, side = 1, shown = 1;

    const css = (name, fallback) => getComputedStyle(root).getPropertyValue(name).trim() || fallback;
    const caption = (unit) => model.get("captions")[unit] ?? `unit ${unit}`;
    const sprite = (unit) => {
      const page = Math.floor(unit / PAGE ** 2), k = unit % PAGE ** 2;
      return { page, x: (k % PAGE) * side, y: Math.floor(k / PAGE) * side };
    };
    const clear = () => {
      side = model.get("side");
      shown = model.get("shown");
      cell = shown + GAP;
      sheets = [];
      have = new Set();
    };
    const order = () => {
      const count = model.get("count"), given = model.get("order");
      places = given.length === count ? given : [...Array(count).keys()];
      place = new Map(places.map((unit, k) => [unit, k]));
      layout();
    };
    const layout = () => {
      columns = Math.max(1, Math.floor((port.clientWidth - GAP) / cell));
      tall.style.height = `${Math.ceil(places.length / columns) * cell + GAP}px`;
      port.style.maxHeight = `${Math.round(cell * model.get("rows") + GAP)}px`;
      repaint();
    };
    const repaint = () => { due ??= requestAnimationFrame(paint); };
    function paint() {
      due = null;
      if (gone) return;
      const width = port.clientWidth, height = port.clientHeight, dpr = window.devicePixelRatio || 1, top = port.scrollTop;
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
      const empty = css("--jp-layout-color2", "#eee"), brand = css("--jp-brand-color1", "#1976d2"), ink = css("--jp-ui-font-color2", "#555");
      const first = Math.floor(top / cell) * columns, last = Math.min(places.length, Math.ceil((top + height) / cell) * columns);
      const frame = (x, y, colour, wide) => {
        pen.strokeStyle = colour;
        pen.lineWidth = wide;
        pen.strokeRect(x - wide / 2, y - wide / 2, shown + wide, shown + wide);
      };
      for (let k = first; k < last; k++) {
        const unit = places[k], x = GAP + (k % columns) * cell, y = GAP + Math.floor(k / columns) * cell - top;
        const { page, x: sx, y: sy } = sprite(unit);
        if (have.has(unit)) pen.drawImage(sheets[page], sx, sy, side, side, x, y, shown, shown);
        else { pen.fillStyle = empty; pen.fillRect(x, y, shown, shown); }
        if (unit === model.get("selected")) frame(x, y, brand, 3);
        else if (unit === hovered) frame(x, y, ink, 1);
      }
      canvas.painted = (canvas.painted ?? 0) + 1;
      root.grid = { count: places.length, done: have.size, selected: model.get("selected"), columns, top, place: Object.fromEntries(place) };
    }
    const say = () => {
      const selected = model.get("selected"), count = model.get("count"), share = count ? have.size / count : 0;
      title.textContent = selected >= 0 ? caption(selected) : "";
      note.textContent = model.get("note");
      act.textContent = model.get("action");
      act.hidden = !model.get("action");
      filled.style.width = `${share < 1 ? 100 * share : 0}%`;
      bar.title = `${have.size} of ${count}`;
    };
    const receive = (content, buffers) => {
      if (content.kind === "clear") { clear(); order(); say(); return; }
      if (content.kind !== "sprites" || content.side !== side) return;
      const b = buffers[0], rgb = new Uint8Array(b.buffer, b.byteOffset, b.byteLength), size = side * side * 3;
      const tile = new ImageData(side, side), out = tile.data.fill(255);
      content.units.forEach((unit, n) => {
        for (let i = n * size, o = 0; i < (n + 1) * size; i += 3, o += 4) { out[o] = rgb[i]; out[o + 1] = rgb[i + 1]; out[o + 2] = rgb[i + 2]; }
        const { page, x, y } = sprite(unit);
        if (!sheets[page]) sheets[page] = Object.assign(document.createElement("canvas"), { width: PAGE * side, height: PAGE * side });
        sheets[page].getContext("2d").putImageData(tile, x, y);
        have.add(unit);
      });
      if (content.units.includes(hovered)) enlarge(hovered);
      say();
      repaint();
    };
    const under = (event) => {
      const at = port.getBoundingClientRect();
      const x = event.clientX - at.left - port.clientLeft - GAP, y = event.clientY - at.top - port.clientTop + port.scrollTop - GAP;
      const column = Math.floor(x / cell), k = Math.floor(y / cell) * columns + column;
      return x >= 0 && y >= 0 && column < columns && k < places.length ? places[k] : -1;
    };
    const enlarge = (unit) => {
      hovered = unit;
      lens.style.display = unit >= 0 && have.has(unit) ? "block" : "none";
      repaint();
      if (unit < 0 || !have.has(unit)) return;
      const { page, x, y } = sprite(unit), times = Math.ceil(160 / side);
      Object.assign(large, { width: side, height: side });
      large.getContext("2d").drawImage(sheets[page], x, y, side, side, 0, 0, side, side);
      large.style.width = large.style.height = `${side * times}px`;
      words.textContent = caption(unit);
      const at = port.getBoundingClientRect(), k = place.get(unit), room = side * times + 16;
      const left = at.left + GAP + (k % columns) * cell, top = at.top + GAP + Math.floor(k / columns) * cell - port.scrollTop;
      lens.style.left = `${left + shown + 8 + room > window.innerWidth ? left - room - 4 : left + shown + 8}px`;
      lens.style.top = `${Math.max(8, Math.min(top + shown / 2 - room / 2, window.innerHeight - room - 30))}px`;
    };
    const choose = (unit) => {
      if (unit < 0 || unit === model.get("selected")) return;
      model.set("selected", unit);
      model.save_changes();
    };
    const reveal = () => { // the selected one, if the box hides it
      const k = place.get(model.get("selected"));
      if (k === undefined) return;
      const top = Math.floor(k / columns) * cell;
      if (top < port.scrollTop) port.scrollTop = top;
      else if (top + cell + GAP > port.scrollTop + port.clientHeight) port.scrollTop = top + cell + GAP - port.clientHeight;
    };
    const key = (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -1e9, End: 1e9 };
      if (!(event.key in steps) || !places.length) return;
      event.preventDefault();
      event.stopPropagation();
      const now = place.get(model.get("selected")) ?? 0, last = places.length - 1, to = now + steps[event.key];
      const beyond = Math.abs(steps[event.key]) === columns && (to < 0 || to > last); // no row there
      enlarge(-1);
      choose(places[beyond ? now : Math.min(Math.max(to, 0), last)]);
    };
    const selected = () => { say(); reveal(); repaint(); };

    clear(); order(); say();
    act.addEventListener("click", () => model.send({ kind: "action", view }));
    port.addEventListener("scroll", () => { enlarge(-1); repaint(); });
    port.addEventListener("mousemove", (event) => { const unit = under(event); if (unit !== hovered) enlarge(unit); });
    port.addEventListener("mouseleave", () => enlarge(-1));
    port.addEventListener("click", (event) => { port.focus(); choose(under(event)); });
    port.addEventListener("keydown", key);
    const sizes = new ResizeObserver(layout);
    sizes.observe(port);
    const changes = { "change:order": order, "change:selected": selected, "change:captions": say, "change:note": say, "change:action": say };
    for (const [name, act] of Object.entries(changes)) model.on(name, act);
    model.on("msg:custom", receive);
    model.send({ kind: "ready", view });
    return () => {
      gone = true;
      sizes.disconnect();
      lens.remove();
      for (const [name, act] of Object.entries(changes)) model.off(name, act);
      model.off("msg:custom", receive);
      model.send({ kind: "gone", view });
    };
  },
};
