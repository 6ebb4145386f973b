// The progress of a run: its metric and step, a scrub bar, the energy terms on a log scale, one line of status.
import { announce, bytesOf, context, cssVariable, listen, make, nameControls, newViewId, onTheme, publish } from "./shared.js";

/** @typedef {import("./shared.js").Model} Model */
/** @typedef {import("./shared.js").Message} Message */

/**
 * What the chart shows.
 * @typedef {object} Trace
 * @property {number[]} steps
 * @property {number[]} data the data term, or the response, times C
 * @property {number[]} prior the sum of the priors
 * @property {number[]} values the metric
 * @property {[number, string][]} marks the steps at which a setting changed, and to what
 * @property {number} total the number of steps of the run
 */

const SILENT_MS = 4000; // after so long without an answer from the kernel the view says so
const SILENT = "The kernel has not answered for 4 s. While a cell runs, it may answer when that ends; else run the cell "
  + "of this panel again. In a terminal, \u201ccnnexplore doctor\u201d says what works here.";
const COLOURS = [["#c2410c", "#fb923c"], ["#2563eb", "#60a5fa"]]; // data, priors: on a light and on a dark background
/** @type {Record<string, { title: string, line: string, digits: number }>} */
const METRICS = {
  error: { title: "relative error", line: "C × data term", digits: 3 },
  response: { title: "response", line: "C × response", digits: 2 },
};

/** @type {() => Trace} */
const emptyTrace = () => ({ steps: [], data: [], prior: [], values: [], marks: [], total: 0 });

/**
 * A power of ten as a label of the axis.
 * @param {number} power
 * @returns {string}
 */
function powerLabel(power) {
  if (power >= 0 && power < 5) return String(10 ** power);
  return power > -4 && power < 0 ? (10 ** power).toFixed(-power) : `1e${power}`;
}

/**
 * Draws the energy terms by step.
 * @param {HTMLCanvasElement} chart
 * @param {Trace} trace
 * @param {string} dataLabel
 * @param {number | null} cursor the step that is looked back at
 */
function drawChart(chart, { steps, data, prior, marks, total }, dataLabel, cursor) {
  const width = chart.clientWidth || 480, height = chart.clientHeight || 110, dpr = window.devicePixelRatio || 1;
  if (chart.width !== Math.round(width * dpr)) {
    chart.width = Math.round(width * dpr);
    chart.height = Math.round(height * dpr);
  }
  const pen = context(chart);
  pen.setTransform(dpr, 0, 0, dpr, 0, 0);
  pen.clearRect(0, 0, width, height);
  const ink = cssVariable(chart, "--jp-ui-font-color2", "#555");
  const faint = cssVariable(chart, "--jp-border-color2", "#ddd");
  const left = 46, right = width - 92, top = 8, bottom = height - 18;
  const positive = [...data, ...prior].filter((v) => v > 0);
  const high = Math.ceil(Math.log10(positive.length ? Math.max(...positive) : 1) + 1e-9);
  const least = Math.floor(Math.log10(positive.length ? Math.min(...positive) : 0.1));
  const low = Math.max(Math.min(least, high - 1), high - 6);
  const last = Math.max(total, 1);
  /** @type {(step: number) => number} */
  const x = (step) => left + ((right - left) * step) / last;
  /** @type {(value: number) => number} */
  const y = (value) => bottom - ((bottom - top) * (Math.log10(Math.max(value, 10 ** low)) - low)) / (high - low);
  /** @type {(step: number, colour: string) => void} */
  const vertical = (step, colour) => {
    pen.strokeStyle = colour;
    pen.beginPath();
    pen.moveTo(x(step), top);
    pen.lineTo(x(step), bottom);
    pen.stroke();
  };

  pen.font = `11px ${cssVariable(chart, "--jp-ui-font-family", "sans-serif")}`;
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  for (let power = low; power <= high; power++) {
    pen.strokeStyle = faint;
    pen.beginPath();
    pen.moveTo(left, y(10 ** power));
    pen.lineTo(right, y(10 ** power));
    pen.stroke();
    pen.fillStyle = ink;
    if (high - low <= 3 || (power - low) % 2 === 0) pen.fillText(powerLabel(power), left - 6, y(10 ** power));
  }
  pen.textBaseline = "alphabetic";
  pen.fillText(String(last), right, height - 4);
  pen.textAlign = "left";
  pen.fillText("energy, by step", left, height - 4);

  pen.setLineDash([2, 3]);
  for (const [step] of marks) vertical(step, ink);
  pen.setLineDash([]);
  /** @type {[number, number][]} */
  const taken = [];
  pen.fillStyle = ink;
  for (const [step, text] of [...marks].reverse()) { // newest first; a label that would overlap another is left out
    const wide = pen.measureText(text).width, at = Math.min(x(step) + 3, right - wide);
    if (taken.some(([start, end]) => at < end + 6 && at + wide > start - 6)) continue;
    taken.push([at, at + wide]);
    pen.fillText(text, at, top + 8);
  }

  const dark = Number(document.body.dataset.jpThemeLight === "false");
  const labels = [];
  pen.lineWidth = 1.75;
  for (const [k, series] of [data, prior].entries()) {
    if (!series.length) continue;
    const colour = COLOURS[k][dark];
    pen.strokeStyle = colour;
    pen.beginPath();
    series.forEach((value, i) => (i ? pen.lineTo(x(steps[i]), y(value)) : pen.moveTo(x(steps[i]), y(value))));
    pen.stroke();
    labels.push({ at: y(series[series.length - 1]), text: k ? "priors" : dataLabel, colour });
  }
  pen.lineWidth = 1;
  if (labels.length === 2 && Math.abs(labels[0].at - labels[1].at) < 13) {
    const [upper, lower] = labels[0].at <= labels[1].at ? labels : [labels[1], labels[0]];
    const middle = Math.min(Math.max((upper.at + lower.at) / 2, 14), bottom - 9);
    upper.at = middle - 7;
    lower.at = middle + 7;
  }
  pen.textBaseline = "middle";
  for (const { at, text, colour } of labels) {
    pen.fillStyle = colour;
    pen.fillText(text, right + 6, Math.min(Math.max(at, 7), bottom - 2));
  }
  if (cursor !== null) vertical(cursor, cssVariable(chart, "--jp-brand-color1", "#1976d2"));
  chart.setAttribute("aria-label", `energy terms after ${steps.length} steps`);
}

/**
 * @param {string} text
 * @param {HTMLElement} root
 */
function copyToClipboard(text, root) {
  const fallback = () => { // without https there is no navigator.clipboard
    const area = make("textarea", "", root);
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  if (navigator.clipboard) navigator.clipboard.writeText(text).catch(fallback);
  else fallback();
}

/**
 * @param {string} name
 * @param {DataView} png
 */
function download(name, png) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([/** @type {BlobPart} */ (png)], { type: "image/png" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/**
 * Keeps the keys that are pressed inside a panel from JupyterLab, where `d d` deletes the cell; Escape leaves the panel.
 * @param {HTMLElement} el an element of the panel, which may not be part of the page yet
 * @returns {() => void} ends the waiting for the panel
 */
function keepKeys(el) {
  let request = 0;
  /** @type {(() => void)[]} */
  const stopNaming = [];
  const guard = () => {
    const roots = [el.closest(".cx-panel"), el.closest(".cx-explorer")];
    if (!roots.some(Boolean)) {
      request = requestAnimationFrame(guard);
      return;
    }
    for (const root of roots) {
      if (!(root instanceof HTMLElement)) continue;
      stopNaming.push(nameControls(root));
      if (root.dataset.keepsKeys) continue;
      root.dataset.keepsKeys = "true";
      root.addEventListener("focusin", ({ target }) => { // JupyterLab asks the element that has the focus
        if (target instanceof Element) target.setAttribute("data-lm-suppress-shortcuts", "true");
      });
      root.addEventListener("keydown", ({ key }) => {
        if (key === "Escape") /** @type {HTMLElement | null} */ (root.closest(".jp-Notebook"))?.focus();
      }, true); // before a text box, which lets no key through
    }
  };
  guard();
  return () => {
    cancelAnimationFrame(request);
    stopNaming.forEach((stop) => stop());
  };
}

/**
 * @param {{ model: Model, el: HTMLElement }} given
 * @returns {() => void}
 */
function render({ model, el }) {
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
  const message = make("div", "cx-message", root);
  message.setAttribute("role", "alert");
  const refused = make("span", "", message);
  const dismiss = make("button", "cx-dismiss", message);
  Object.assign(dismiss, { type: "button", textContent: "×", title: "dismiss" });
  dismiss.setAttribute("aria-label", "dismiss the message");
  message.hidden = true;
  const details = make("details", "cx-details", status);
  make("summary", "", details).textContent = "traceback";
  const traceback = make("pre", "", details);
  details.hidden = true;

  let trace = emptyTrace(), state = "", metric = "error", unit = "", meaning = "";
  /** @type {number | null} */
  let cursor = null; // the step that is looked back at
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let paintTimer;
  let scrubRequest = 0;

  const paint = () => {
    paintTimer = undefined;
    drawChart(chart, trace, METRICS[metric].line, cursor);
  };
  const repaint = (delay = 0) => {
    paintTimer ??= setTimeout(() => requestAnimationFrame(paint), delay);
  };

  const updateText = () => {
    const { steps, values, marks, total } = trace, { title, digits } = METRICS[metric];
    const done = steps.length ? steps[steps.length - 1] : 0, at = cursor ?? done;
    const value = at > 0 ? values[Math.min(at, values.length) - 1] : NaN, known = Number.isFinite(value);
    error.textContent = total ? `${title} ${known ? value.toFixed(digits) + unit : "–"}` : ""; // no run yet
    error.title = meaning;
    count.textContent = total ? `step ${at} / ${total}` : "";
    scrub.max = String(done);
    scrub.disabled = done === 0;
    if (cursor === null) scrub.value = String(done);
    publish(root, { step: done, [metric]: known ? value : null, state, marks });
  };

  /** @type {(buffer: DataView) => void} */
  const append = (buffer) => { // rows of step, data term, priors, metric
    const rows = new Float32Array(bytesOf(buffer).slice().buffer), { steps } = trace;
    for (let i = 0; i + 3 < rows.length; i += 4) {
      if (steps.length && rows[i] <= steps[steps.length - 1]) continue; // already here
      steps.push(rows[i]);
      trace.data.push(rows[i + 1]);
      trace.prior.push(rows[i + 2]);
      trace.values.push(rows[i + 3]);
    }
  };

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let silence = setTimeout(() => {
    silence = undefined;
    refused.textContent = SILENT;
    message.hidden = false;
  }, SILENT_MS);
  const hear = () => { // the kernel answers
    clearTimeout(silence);
    silence = undefined;
    if (refused.textContent === SILENT) message.hidden = true;
  };

  /** @type {(content: Message, buffers: DataView[]) => void} */
  const receive = (content, buffers) => {
    hear();
    announcement.answered();
    if (content.kind === "trace") {
      if (content.reset) {
        trace = emptyTrace();
        cursor = null;
        ({ metric, unit, meaning } = content);
      }
      trace.total = content.total;
      if (content.marks) trace.marks = content.marks;
      if (buffers?.[0]) append(buffers[0]);
      if (content.text) sentence.textContent = content.text;
    } else if (content.kind === "status") {
      state = content.state;
      sentence.textContent = content.text;
      status.classList.toggle("cx-wrong", state === "failed");
      details.hidden = !content.trace;
      traceback.textContent = content.trace ?? "";
      if (content.live) cursor = null;
      else if (typeof content.step === "number" && !scrubRequest) { // the kept picture that is nearest to the bar
        cursor = content.step;
        scrub.value = String(cursor);
      }
    } else if (content.kind === "message") {
      refused.textContent = content.text;
      message.hidden = !content.text;
      return;
    } else if (content.kind === "copy") return copyToClipboard(content.text, root);
    else if (content.kind === "download") return download(content.name, buffers[0]);
    updateText();
    repaint();
  };

  const lookBack = () => {
    const step = Number(scrub.value);
    cursor = step < Number(scrub.max) ? step : null;
    updateText();
    repaint();
    scrubRequest ||= requestAnimationFrame(() => {
      scrubRequest = 0;
      model.send({ kind: "scrub", step: Number(scrub.value) });
    });
  };

  scrub.addEventListener("input", lookBack);
  dismiss.addEventListener("click", () => model.send({ kind: "dismiss" }));
  const stopGuarding = keepKeys(el);
  const sizes = new ResizeObserver(() => repaint(50));
  sizes.observe(chart);
  const stopTheme = onTheme(() => repaint());
  updateText();
  const stopListening = listen(model, {}, receive);
  const announcement = announce(model, newViewId());
  return () => {
    announcement.end();
    sizes.disconnect();
    stopGuarding();
    stopTheme();
    clearTimeout(paintTimer);
    clearTimeout(silence);
    stopListening();
  };
}

export default { render };
