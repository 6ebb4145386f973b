// One line that says what is going on; also puts text on the clipboard and hands files to the browser.
export default {
  render({ model, el }) {
    const make = (tag, name, parent) => {
      const node = document.createElement(tag);
      node.className = name;
      parent.append(node);
      return node;
    };
    const root = make("div", "cx-line", el);
    const sentence = make("span", "", root);
    const details = make("details", "", root);
    make("summary", "", details).textContent = "traceback";
    const trace = make("pre", "", details);

    const say = () => {
      const status = model.get("status");
      sentence.textContent = status.text ?? "";
      root.classList.toggle("cx-wrong", status.state === "failed");
      trace.textContent = status.trace ?? "";
      details.hidden = !status.trace;
      root.said = status;
    };
    const receive = async (content, buffers) => {
      if (content.kind === "copy") {
        try {
          await navigator.clipboard.writeText(content.text);
        } catch { // no permission, or not a secure page
          const area = make("textarea", "", document.body);
          area.value = content.text;
          area.select();
          document.execCommand("copy");
          area.remove();
        }
      } else if (content.kind === "download") {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([buffers[0]], { type: "image/png" }));
        link.download = content.name;
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 1000);
      }
    };
    say();
    model.on("change:status", say);
    model.on("msg:custom", receive);
    return () => {
      model.off("change:status", say);
      model.off("msg:custom", receive);
    };
  },
};
