// The likeliest classes of an image as bars; a click chooses one, a second click none.
import { listen, make, publish } from "./shared.js";

/** @typedef {import("./shared.js").Model} Model */

/** @type {(share: number) => string} */
const percent = (share) => (share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`);

/**
 * @param {{ model: Model, el: HTMLElement }} given
 * @returns {() => void}
 */
function render({ model, el }) {
  const root = make("div", "cx-classes", el);
  const title = make("div", "cx-classes-title", root);
  const list = make("div", "cx-classes-list", root);
  list.setAttribute("role", "group");

  const draw = () => {
    const rows = /** @type {{ number: number, name: string, share: number }[]} */ (model.get("rows"));
    const selected = model.get("selected");
    title.textContent = model.get("title");
    list.setAttribute("aria-label", model.get("title") || "predicted classes");
    const focused = list.contains(document.activeElement) ? list.querySelectorAll("button") : [];
    const at = [...focused].findIndex((node) => node === document.activeElement);
    list.replaceChildren();
    for (const { number, name, share } of rows) {
      const bar = make("button", "cx-class", list);
      bar.type = "button";
      bar.title = `${name}: ${percent(share)}; a click explains this class`;
      bar.setAttribute("aria-label", `${name}, ${percent(share)}`);
      bar.setAttribute("aria-pressed", String(number === selected));
      make("span", "cx-class-fill", bar).style.width = `${Math.round(1000 * Math.min(Math.max(share, 0), 1)) / 10}%`;
      make("span", "cx-class-name", bar).textContent = name;
      make("span", "cx-class-share", bar).textContent = percent(share);
      bar.addEventListener("click", () => {
        model.set("selected", number === model.get("selected") ? -1 : number);
        model.save_changes();
      });
    }
    if (at >= 0) list.querySelectorAll("button")[at]?.focus();
    publish(root, { rows: rows.length, selected });
  };

  const stopListening = listen(model, { rows: draw, selected: draw, title: draw }, () => {});
  draw();
  return stopListening;
}

export default { render };
