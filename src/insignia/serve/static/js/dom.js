// Small helpers: elements, numbers as people read them, the tooltip. Text is only ever set as text.

/** Make an element: h("a", {href: "/"}, "text", child). `on` holds listeners, `data` data attributes. */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "class") node.className = value;
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const byId = (id) => document.getElementById(id);
export const fill = (node, ...children) => node.replaceChildren(...children.flat().filter(Boolean));

/** 0.1234 -> "12 %", with two significant digits. */
export function percent(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const digits = value === 0 || value === 1 || (value >= 0.1 && value <= 0.995) ? 0 : Math.abs(value) >= 0.01 ? 1 : 2;
  return `${(100 * value).toFixed(digits)}\u00a0%`;
}

export const count = (value) => value.toLocaleString("en");
export function number(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1).replace("e-", "·10\u207b").replace(/\d+$/, (n) => [...n].map((d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]).join(""));
  return Number(value.toPrecision(digits)).toLocaleString("en", { maximumSignificantDigits: digits });
}
export const words = (name) => name.replaceAll("_", " ");
export const plural = (n, noun) => `${count(n)} ${n === 1 ? noun : noun.replace(/y$/, "ie") + "s"}`;

/** Show a tooltip beside the pointer, or beside an element that has the focus. */
export function showTip(event, title, lines) {
  const tip = byId("tip");
  fill(tip, h("strong", {}, title), ...lines.flatMap((line, i) => (i ? [h("br"), line] : [line])));
  tip.hidden = false;
  const box = event.target.getBoundingClientRect();
  const x = event.clientX || box.right, y = event.clientY || box.bottom;
  const size = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(6, Math.min(x + 14, innerWidth - size.width - 8))}px`;
  tip.style.top = `${y + size.height + 24 > innerHeight ? Math.max(6, y - size.height - 12) : y + 14}px`;
}
export const hideTip = () => { byId("tip").hidden = true; };

/** Let arrow keys move among elements of which one is reached by Tab. */
export function roving(nodes) {
  nodes.forEach((node, i) => {
    node.setAttribute("tabindex", i ? "-1" : "0");
    node.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const to = step ? nodes[i + step] : event.key === "Home" ? nodes[0] : event.key === "End" ? nodes.at(-1) : null;
      if (!to) return;
      event.preventDefault();
      node.setAttribute("tabindex", "-1");
      to.setAttribute("tabindex", "0");
      to.focus();
    });
  });
}

export const announce = (text) => { byId("status").textContent = text; };
