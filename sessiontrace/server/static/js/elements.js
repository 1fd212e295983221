// Making elements. Text becomes text nodes only: nothing from a record is ever parsed as HTML. Of the
// attributes that the browser follows, only markdown's links (http, https, mailto) and pictures of
// pixels within their text are made from one; markdown.js checks both.

const SVG = "http://www.w3.org/2000/svg";

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  set(node, attributes);
  node.append(...present(children));
  return node;
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  set(node, attributes);
  node.append(...present(children));
  return node;
}

function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") {
      // Through the object model: the policy forbids style attributes.
      for (const [key, length] of Object.entries(value)) node.style.setProperty(key, length);
    } else node.setAttribute(name, value === true ? "" : String(value));
  }
}

function present(children) {
  return children
    .flat()
    .filter((child) => child !== null && child !== undefined && child !== false);
}

// One shape per type, so that types differ without colour.
const SHAPES = {
  model: () => svg("path", { d: "M8 1.5 14.5 8 8 14.5 1.5 8Z" }),
  tool: () => svg("rect", { x: 2.5, y: 2.5, width: 11, height: 11, rx: 2 }),
  chain: () => svg("circle", { cx: 8, cy: 8, r: 5.2, class: "ring" }),
  agent: () => svg("path", { d: "M8 1 14.5 4.5v7L8 15 1.5 11.5v-7Z" }),
  retriever: () =>
    svg("path", {
      d: "M7 2.2a4.6 4.6 0 1 1 0 9.2 4.6 4.6 0 0 1 0-9.2ZM10.4 10.2 14 14",
      class: "lines",
    }),
  embedding: () => svg("path", { d: "M1.5 12.5h13M2.5 9 6 4.5l3.5 3L13.5 2.5", class: "lines" }),
  guardrail: () =>
    svg("path", { d: "M8 1 14 3.2v4.3c0 3.6-2.4 6.2-6 7.5-3.6-1.3-6-3.9-6-7.5V3.2Z" }),
  evaluator: () => svg("path", { d: "M2 8.8 6 13 14 3.5", class: "lines" }),
  turn: () =>
    svg("path", {
      d: "M3 2.5h10A1.5 1.5 0 0 1 14.5 4v6a1.5 1.5 0 0 1-1.5 1.5H8L4.5 14.6v-3.1H3A1.5 1.5 0 0 1 1.5 10V4A1.5 1.5 0 0 1 3 2.5Z",
    }),
  session: () => svg("path", { d: "M2 3.5h9M5 8h9M7.5 12.5h5", class: "lines" }),
};

export function shape(type) {
  const drawn = (SHAPES[type] ?? SHAPES.chain)();
  return svg(
    "svg",
    {
      viewBox: "0 0 16 16",
      class: `shape type-${type in SHAPES ? type : "chain"}`,
      "aria-hidden": "true",
    },
    drawn,
  );
}

// A thumb as a drawing: not every machine has a font with one.
export function thumb(up) {
  const drawn = svg("path", {
    d: "M5.5 7 8.4 1.6c1.3 0 2 .9 1.7 2.1L9.5 6h3.7c.9 0 1.5.8 1.3 1.6l-1.2 5c-.2.8-.8 1.4-1.6 1.4H5.5ZM1.5 7h2.2v7H1.5Z",
  });
  return svg(
    "svg",
    { viewBox: "0 0 16 16", class: up ? "thumb" : "thumb down", "aria-hidden": "true" },
    drawn,
  );
}

export function copyButton(label, text) {
  const button = el("button", { type: "button", class: "quiet" }, label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Clipboard is not available";
    }
    setTimeout(() => {
      button.textContent = label;
    }, 1400);
  });
  return button;
}
