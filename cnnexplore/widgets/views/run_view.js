// What a run is doing: error and step, a scrub bar, the energy terms on a log scale, one line of status.
const LINES = [["#c2410c", "#fb923c"], ["#2563eb", "#60a5fa"]]; // data, priors: on light and on dark ground
const NAMES = { error: ["relative error", "C × data term"], response: ["response", "C × response"] };

export default {
  render({ model, el }) {
    const make = (tag, name, parent) => {
      const node = document.createElement(tag);
      node.className = name;
      parent.append(node);
      return node;
    };
    const root = make("div", "cx-run", el);
    const row = make("div", "cx-row", root);
    const error = make("span", "cx-error", row);
    const count = make("span", "cx-count", row);
    const scrub = make("input", "cx-scrub", row);
    Object.assign(scrub, { type: "range", min: 0, max: 0, value: 0, step: 1, disabled: true });
    scrub.setAttribute("aria-label", "look back through the frames");
    scrub.title = "look back through the frames; the run pauses";
    const chart = make("canvas", "cx-chart", root);
    chart.setAttribute("role", "img");
    const status = make("div", "cx-status", root);
    const sentence = make("span", "cx-sentence", status);
    const details = make("details", "cx-details", status);
    make("summary", "", details).textContent = "traceback";
    const trace = make("pre", "", details);
    details.hidden = true;

    let steps = [], data = [], prior = [], figures = [], marks = [], total = 0, state = "", looking = null, again = null;
    let metric = "error", unit = "", means = ""; // what the run is judged by

    const css = (name, fallback) => getComputedStyle(root).getPropertyValue(name).trim() || fallback;
    const paint = () => {
      again = null;
      const width = chart.clientWidth || 480, height = chart.clientHeight || 110, dpr = window.devicePixelRatio || 1;
      if (chart.width !== Math.round(width * dpr)) { chart.width = Math.round(width * dpr); chart.height = Math.round(height * dpr); }
      const pen = chart.getContext("2d");
      pen.setTransform(dpr, 0, 0, dpr, 0, 0);
      pen.clearRect(0, 0, width, height);
      const ink = css("--jp-ui-font-color2", "#555"), faint = css("--jp-border-color2", "#ddd");
      const left = 46, right = width - 92, top = 8, bottom = height - 18;
      const values = [...data, ...prior].filter((v) => v > 0);
      const high = Math.ceil(Math.log10(values.length ? Math.max(...values) : 1) + 1e-9);
      let low = Math.floor(Math.log10(values.length ? Math.min(...values) : 0.1));
      low = Math.max(Math.min(low, high - 1), high - 6);
      const last = Math.max(total, 1);
      const x = (step) => left + ((right - left) * step) / last;
      const y = (v) => bottom - ((bottom - top) * (Math.log10(Math.max(v, 10 ** low)) - low)) / (high - low);
      pen.font = `11px ${css("--jp-ui-font-family", "sans-serif")}`;
      pen.textBaseline = "middle";
      pen.textAlign = "right";
      for (let p = low; p <= high; p++) {
        pen.strokeStyle = faint;
        pen.beginPath(); pen.moveTo(left, y(10 ** p)); pen.lineTo(right, y(10 ** p)); pen.stroke();
        pen.fillStyle = ink;
        if (high - low <= 3 || (p - low) % 2 === 0) pen.fillText(p >= 0 && p < 5 ? String(10 ** p) : p > -4 && p < 0 ? (10 ** p).toFixed(-p) : `1e${p}`, left - 6, y(10 ** p));
      }
      pen.textBaseline = "alphabetic";
      pen.textAlign = "left"; pen.fillText("energy, by step", left, height - 4);
      pen.textAlign = "right"; pen.fillText(String(last), right, height - 4);
      pen.textAlign = "left";
      for (const [step, text] of marks) {
        pen.strokeStyle = ink;
        pen.setLineDash([2, 3]);
        pen.beginPath(); pen.moveTo(x(step), top); pen.lineTo(x(step), bottom); pen.stroke();
        pen.setLineDash([]);
      }
      const written = [];
      for (const [step, text] of [...marks].reverse()) { // newest first; what would overlap is left out
        const wide = pen.measureText(text).width, at = Math.min(x(step) + 3, right - wide);
        if (written.some(([a, b]) => at < b + 6 && at + wide > a - 6)) continue;
        written.push([at, at + wide]);
        pen.fillStyle = ink;
        pen.fillText(text, at, top + 8);
      }
      const ends = [];
      for (const [k, series] of [data, prior].entries()) {
        if (!series.length) continue;
        const colour = LINES[k][Number(document.body.dataset.jpThemeLight === "false")];
        pen.strokeStyle = colour;
        pen.lineWidth = 1.75;
        pen.beginPath();
        series.forEach((v, i) => (i ? pen.lineTo(x(steps[i]), y(v)) : pen.moveTo(x(steps[i]), y(v))));
        pen.stroke();
        ends.push([y(series[series.length - 1]), k ? "priors" : NAMES[metric][1], colour]);
      }
      pen.lineWidth = 1;
      if (ends.length === 2 && Math.abs(ends[0][0] - ends[1][0]) < 13) {
        const [a, b] = ends[0][0] <= ends[1][0] ? [0, 1] : [1, 0], mid = Math.min(Math.max((ends[0][0] + ends[1][0]) / 2, 14), bottom - 9);
        ends[a][0] = mid - 7; ends[b][0] = mid + 7;
      }
      pen.textBaseline = "middle";
      for (const [at, text, colour] of ends) { pen.fillStyle = colour; pen.fillText(text, right + 6, Math.min(Math.max(at, 7), bottom - 2)); }
      if (looking !== null) {
        pen.strokeStyle = css("--jp-brand-color1", "#1976d2");
        pen.beginPath(); pen.moveTo(x(looking), top); pen.lineTo(x(looking), bottom); pen.stroke();
      }
      chart.setAttribute("aria-label", `energy terms after ${steps.length} steps`);
    };
    const repaint = (soon) => { again ??= setTimeout(() => requestAnimationFrame(paint), soon); };
    const words = () => {
      const done = steps.length ? steps[steps.length - 1] : 0, at = looking ?? done;
      const e = at > 0 ? figures[Math.min(at, figures.length) - 1] : NaN;
      error.textContent = `${NAMES[metric][0]} ${Number.isFinite(e) ? e.toFixed(3 - (metric === "response")) + unit : "–"}`;
      error.title = means;
      count.textContent = `step ${at} / ${total}`;
      scrub.max = done;
      scrub.disabled = done === 0;
      if (looking === null) scrub.value = done;
      root.run = { step: done, [metric]: Number.isFinite(e) ? e : null, state, marks };
    };
    const receive = (content, buffers) => {
      if (content.kind === "trace") {
        if (content.reset) { steps = []; data = []; prior = []; figures = []; marks = []; looking = null; }
        if (content.metric) ({ metric, unit, means } = content);
        total = content.total;
        if (content.marks) marks = content.marks;
        const b = buffers?.[0];
        if (b) {
          const flat = new Float32Array(b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength));
          for (let i = 0; i + 3 < flat.length; i += 4) {
            if (steps.length && flat[i] <= steps[steps.length - 1]) continue; // already here
            steps.push(flat[i]); data.push(flat[i + 1]); prior.push(flat[i + 2]); figures.push(flat[i + 3]);
          }
        }
        if (content.text) sentence.textContent = content.text;
        words();
        repaint(0);
      } else if (content.kind === "status") {
        state = content.state;
        sentence.textContent = content.text;
        status.classList.toggle("cx-wrong", content.state === "failed");
        details.hidden = !content.trace;
        trace.textContent = content.trace ?? "";
        if (content.live) looking = null;
        words();
        repaint(0);
      } else if (content.kind === "copy") {
        const legacy = () => {
          const area = make("textarea", "", root);
          area.value = content.text;
          area.select();
          document.execCommand("copy");
          area.remove();
        };
        if (navigator.clipboard) navigator.clipboard.writeText(content.text).catch(legacy);
        else legacy();
      } else if (content.kind === "download") {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([buffers[0]], { type: "image/png" }));
        link.download = content.name;
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      }
    };
    let asked = null;
    const look = () => {
      looking = Number(scrub.value);
      if (looking >= Number(scrub.max)) looking = null;
      words();
      repaint(0);
      asked ??= requestAnimationFrame(() => { asked = null; model.send({ kind: "scrub", step: Number(scrub.value) }); });
    };
    scrub.addEventListener("input", look);
    model.on("msg:custom", receive);
    const sizes = new ResizeObserver(() => repaint(50));
    sizes.observe(chart);
    words();
    model.send({ kind: "ready" });
    return () => { sizes.disconnect(); clearTimeout(again); model.off("msg:custom", receive); };
  },
};
