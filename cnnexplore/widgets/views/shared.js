// Helpers of all views. source.py puts this file in front of each view's own, without the words "export".

/**
 * The part of an anywidget model that the views use.
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: unknown) => void} set
 * @property {() => void} save_changes
 * @property {(content: object) => void} send
 * @property {(name: string, callback: (...args: any[]) => void) => void} on
 * @property {(name: string, callback: (...args: any[]) => void) => void} off
 */

/**
 * A custom message of the kernel. Its other fields depend on its kind.
 * @typedef {{ kind: string } & Record<string, any>} Message
 */

/**
 * Appends a new element to a parent.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {string} className
 * @param {Node} parent
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, className, parent) {
  const node = document.createElement(tag);
  node.className = className;
  parent.appendChild(node);
  return node;
}

/**
 * The 2D context of a canvas.
 * @param {HTMLCanvasElement} canvas
 * @returns {CanvasRenderingContext2D}
 */
export function context(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}

/**
 * A name for a view that no other view of the kernel has.
 * @returns {string}
 */
export function newViewId() {
  return `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
}

const REPEAT_MS = 1000; // "ready" is said again after so long without an answer, then after twice as long,
const SELDOM_MS = 16000; // and so on up to this

/**
 * Tells the kernel that a view is ready, again and again until it has answered: while a page is set up a message of
 * either side can be lost, and the view would stay empty.
 * @param {Model} model
 * @param {string} view
 * @returns {{ tell: () => void, answered: () => void, end: () => void }} tell says it once more, as after a pause
 */
export function announce(model, view) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const end = () => clearTimeout(timer);
  const say = (/** @type {number} */ wait) => {
    end();
    model.send({ kind: "ready", view });
    timer = setTimeout(() => say(Math.min(2 * wait, SELDOM_MS)), wait);
  };
  const tell = () => say(REPEAT_MS);
  tell();
  return { tell, answered: end, end };
}

/**
 * The value of a CSS variable, as JupyterLab's theme sets it.
 * @param {Element} element
 * @param {string} name
 * @param {string} fallback where no theme sets it
 * @returns {string}
 */
export function cssVariable(element, name, fallback) {
  return getComputedStyle(element).getPropertyValue(name).trim() || fallback;
}

/**
 * Calls a function after the theme of the page has changed: what is painted in its colours is painted again.
 * @param {() => void} act
 * @returns {() => void} ends it
 */
export function onTheme(act) {
  const changes = new MutationObserver(() => act());
  changes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  return () => changes.disconnect();
}

/**
 * Gives each control of a panel that has no name its label, or its tooltip, for screen readers; also those made later.
 * @param {HTMLElement} root the panel
 * @returns {() => void} ends it
 */
export function nameControls(root) {
  const update = () => {
    for (const control of root.querySelectorAll("select, input, textarea, button, [role=slider], .noUi-handle")) {
      if (control.matches("button") && control.textContent?.trim()) { // its text is its name, also where it came late
        if (/** @type {HTMLElement} */ (control).dataset.cxNamed) control.removeAttribute("aria-label");
        continue;
      }
      if (control.getAttribute("aria-label")) continue;
      const found = control.closest(".jupyter-widgets"); // a box holds other controls, whose names are not this one's
      const widget = found?.classList.contains("widget-box") ? null : found;
      const label = widget?.querySelector(".widget-label")?.textContent?.trim();
      const title = control.getAttribute("title") || widget?.getAttribute("title")
        || widget?.querySelector("[title]")?.getAttribute("title") || control.getAttribute("placeholder");
      const name = [label, title].filter(Boolean).join(": ");
      if (!name) continue;
      control.setAttribute("aria-label", name);
      /** @type {HTMLElement} */ (control).dataset.cxNamed = "true";
    }
  };
  let request = 0;
  const changes = new MutationObserver(() => {
    request ||= requestAnimationFrame(() => {
      request = 0;
      update();
    });
  });
  changes.observe(root, { childList: true, subtree: true });
  update();
  return () => {
    cancelAnimationFrame(request);
    changes.disconnect();
  };
}

const AWAY_MS = 1500; // a panel that is hidden for longer is closed as far as the kernel knows

/**
 * Says whether any of a panel is in sight, and whether its tab is hidden: the page's, or JupyterLab's.
 * @param {HTMLElement} el an element of the panel, which may not be part of the page yet
 * @param {(inSight: boolean) => void} onSight called when it comes into sight or leaves it
 * @param {(away: boolean) => void} onAway called when its tab has been hidden for a moment, and when it is shown again
 * @returns {() => void} ends it
 */
export function watchPanel(el, onSight, onAway) {
  let intersects = true, laidOut = true, inSight = true, away = false, request = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const update = () => {
    const shown = document.visibilityState === "visible", before = inSight;
    clearTimeout(timer);
    if (shown && laidOut) {
      if (away) onAway(away = false);
    } else if (!away) timer = setTimeout(() => onAway(away = true), AWAY_MS);
    inSight = shown && intersects;
    if (inSight !== before) onSight(inSight);
  };
  const intersections = new IntersectionObserver((entries) => {
    const last = entries[entries.length - 1];
    intersects = last.isIntersecting;
    laidOut = intersects || last.boundingClientRect.width > 0; // a panel in a hidden tab has no size
    update();
  });
  let tries = 0;
  const begin = () => {
    const panel = el.closest(".cx-explorer") ?? el.closest(".cx-panel");
    if (panel || tries++ > 60) intersections.observe(panel ?? el);
    else request = requestAnimationFrame(begin);
  };
  begin();
  document.addEventListener("visibilitychange", update);
  return () => {
    clearTimeout(timer);
    cancelAnimationFrame(request);
    intersections.disconnect();
    document.removeEventListener("visibilitychange", update);
  };
}

/**
 * A text that fits, with an ellipsis where its end is cut.
 * @param {CanvasRenderingContext2D} pen
 * @param {string} text
 * @param {number} width pixels
 * @returns {string}
 */
export function shortened(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  let low = 0, high = text.length; // so many characters fit, so many do not
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (pen.measureText(`${text.slice(0, middle).trimEnd()}…`).width <= width) low = middle;
    else high = middle;
  }
  return `${text.slice(0, low).trimEnd()}…`;
}

/**
 * The bytes of a message's buffer.
 * @param {DataView} buffer
 * @returns {Uint8Array}
 */
export function bytesOf(buffer) {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/**
 * Copies RGB pixels into an opaque image of as many pixels.
 * @param {Uint8Array} rgb
 * @param {number} start index of the first byte
 * @param {ImageData} image
 */
export function copyPixels(rgb, start, image) {
  const out = image.data;
  for (let o = 0, i = start; o < out.length; i += 3, o += 4) {
    out[o] = rgb[i];
    out[o + 1] = rgb[i + 1];
    out[o + 2] = rgb[i + 2];
    out[o + 3] = 255;
  }
}

/**
 * Publishes a view's state as JSON in the attribute data-state, for tests and other programs.
 * @param {HTMLElement} element
 * @param {object} state
 */
export function publish(element, state) {
  element.dataset.state = JSON.stringify(state);
}

/**
 * Listens to changes of traits and to custom messages.
 * @param {Model} model
 * @param {Record<string, () => void>} changes what to call when a trait has changed, by its name
 * @param {(content: Message, buffers: DataView[]) => void} receive
 * @returns {() => void} ends the listening
 */
export function listen(model, changes, receive) {
  for (const [name, update] of Object.entries(changes)) model.on(`change:${name}`, update);
  model.on("msg:custom", receive);
  return () => {
    for (const [name, update] of Object.entries(changes)) model.off(`change:${name}`, update);
    model.off("msg:custom", receive);
  };
}
