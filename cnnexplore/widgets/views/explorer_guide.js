// The explorer's keys, a page of keys and words behind "?", and a tour of six steps that is offered once.
import { make, publish } from "./shared.js";

/** @typedef {import("./shared.js").Model} Model */

const SEEN = "cnnexplore-tour-seen";
/** @type {[string, string][]} */
const TOUR = [ // a part of the explorer, and what it is for
  [".cx-shelf", "These are the images. Click one to look at it, or add your own."],
  [".cx-strip", "These are the layers of the network, in order. The height is the size of a layer's map, the width is "
    + "the number of its units. Click one, or use the arrow keys."],
  [".cx-kept", "These pictures show what some layers keep of the image: details are lost with depth. They come when "
    + "nothing else runs. Click one to look at its layer."],
  [".cx-questions", "These are questions about the layer, a unit or the image. Each has its own settings, which act "
    + "at once."],
  [".cx-image", "This is the image, and what the network predicts for it. Click a place in it, or a class."],
  [".cx-layer-units", "These are the units of the layer, the strongest response first. Click one to ask about it."],
];
/** @type {[string, string][]} */
const KEYS = [
  ["Tab", "the next part; a frame shows which one has the keys"],
  ["← →", "in the layers: the layer before or after; in thumbnails: the next one"],
  ["↑ ↓", "in thumbnails: the row above or below"],
  ["1 … 9", "ask a question"],
  ["Space", "pause the run, or go on"],
  ["?", "this page"],
  ["Esc", "close this page; else leave the explorer for the notebook"],
];
/** @type {[string, string][]} */
const WORDS = [
  ["layer", "one operation of the network. Its output, the activation, is a map of rows x columns for each unit."],
  ["unit", "one channel of a layer; at a class layer, a class."],
  ["sees", "the receptive field: the part of the image that one position of a map depends on."],
  ["response", "the largest activation of a unit on an image."],
  ["energy", "what an optimisation makes small: C × data term + priors. The priors ask for a natural image."],
  ["relative error", "how far the activation of the picture is from that of the image, divided by its length."],
];

/**
 * @param {{ model: Model, el: HTMLElement }} given
 * @returns {() => void}
 */
function render({ model, el }) {
  const open = make("button", "cx-guide-open", el);
  open.type = "button";
  open.textContent = "?";
  open.title = "keys, words and a tour";
  open.setAttribute("aria-label", "help: keys, words and a tour");
  const page = make("div", "cx-guide-page", el);
  page.hidden = true;
  page.setAttribute("role", "dialog");
  page.setAttribute("aria-label", "keys and words");
  page.tabIndex = -1;
  /** @type {(title: string, rows: [string, string][]) => void} */
  const list = (title, rows) => {
    make("h4", "", page).textContent = title;
    const found = make("dl", "", page);
    for (const [name, text] of rows) {
      make("dt", "", found).textContent = name;
      make("dd", "", found).textContent = text;
    }
  };
  list("Keys", KEYS);
  list("Words", WORDS);
  const again = make("button", "cx-guide-button", page);
  again.textContent = "take the tour";
  const close = make("button", "cx-guide-button", page);
  close.textContent = "close";
  const tip = make("div", "cx-guide-tip", el);
  tip.hidden = true;
  tip.setAttribute("role", "dialog");
  tip.setAttribute("aria-label", "tour");
  const tipText = make("p", "", tip);
  const next = make("button", "cx-guide-button", tip);
  next.textContent = "next";
  const end = make("button", "cx-guide-button", tip);
  end.textContent = "no tour";

  let root = /** @type {HTMLElement | null} */ (null), step = -1, request = 0;

  /** @type {(shown: boolean) => void} */
  const showPage = (shown) => {
    page.hidden = !shown;
    if (shown) page.focus();
    else open.focus();
    publish(el, { page: shown, step });
  };

  const remember = () => {
    try {
      localStorage.setItem(SEEN, "true");
    } catch { /* a browser that keeps nothing: the tour is offered again */ }
  };

  const wasSeen = () => {
    try {
      return localStorage.getItem(SEEN) !== null;
    } catch {
      return true;
    }
  };

  /** @type {(to: number) => void} */
  const tour = (to) => {
    root?.querySelectorAll(".cx-guide-shown").forEach((node) => node.classList.remove("cx-guide-shown"));
    step = to < TOUR.length ? to : -1;
    tip.hidden = step < 0;
    if (step >= 0) {
      const part = root?.querySelector(TOUR[step][0]);
      part?.classList.add("cx-guide-shown");
      part?.scrollIntoView({ block: "nearest" });
      tipText.textContent = `${step + 1} of ${TOUR.length}: ${TOUR[step][1]}`;
      next.textContent = step + 1 < TOUR.length ? "next" : "done";
      end.hidden = step + 1 === TOUR.length;
    } else remember();
    publish(el, { page: !page.hidden, step });
  };

  /** @type {(event: KeyboardEvent) => void} */
  const pressKey = (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.key === "Escape" && !page.hidden) {
      event.stopPropagation();
      showPage(false);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
    if (event.key === "?") showPage(page.hidden);
    else if (/^[1-9]$/.test(event.key)) model.send({ kind: "question", number: Number(event.key) - 1 });
    else if (event.key === " " && target.tagName !== "BUTTON") model.send({ kind: "pause" });
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const attach = () => { // the view may be made before it is part of the page
    root = el.closest(".cx-explorer");
    if (!root) {
      request = requestAnimationFrame(attach);
      return;
    }
    root.addEventListener("keydown", pressKey, true);
    if (!wasSeen()) tour(0);
  };

  open.addEventListener("click", () => showPage(page.hidden));
  close.addEventListener("click", () => showPage(false));
  again.addEventListener("click", () => {
    showPage(false);
    tour(0);
  });
  next.addEventListener("click", () => tour(step + 1));
  end.addEventListener("click", () => tour(TOUR.length));
  publish(el, { page: false, step });
  attach();
  return () => {
    cancelAnimationFrame(request);
    root?.removeEventListener("keydown", pressKey, true);
    root?.querySelectorAll(".cx-guide-shown").forEach((node) => node.classList.remove("cx-guide-shown"));
  };
}

export default { render };
