// Filters with counts, and the chips that say which are on.
import { byId, count, fill, h, words } from "./dom.js";

const OPEN = new Set(["disease", "cell_type", "tissue"]);
const MANY = 12, SHORT = 8;
const unshortened = new Set();
const unfolded = new Map();
const typed = new Map();

export function drawFacets(view, found, onView) {
  const at = document.activeElement?.dataset?.filter;
  fill(byId("facets"), order(found.facets).map((facet) => drawFacet(view, facet, onView)));
  // redrawing must not lose the place of somebody who works by keyboard
  if (at) byId("facets").querySelector(`[data-filter="${CSS.escape(at)}"]`)?.focus();
  byId("filter-count").textContent = `${count(found.cells)} cells`;
}

const order = (facets) => [...facets].sort((a, b) => OPEN.has(b.column) - OPEN.has(a.column));

function drawFacet(view, facet, onView) {
  const chosen = facet.values.filter((value) => value.chosen);
  const isOpen = unfolded.get(facet.column) ?? (OPEN.has(facet.column) || chosen.length > 0);
  const list = h("ul");
  const show = (text) => {
    const wanted = text.trim().toLowerCase();
    const values = facet.values.filter((value) => value.chosen || value.value.toLowerCase().includes(wanted)).sort((a, b) => b.chosen - a.chosen);
    const all = wanted || unshortened.has(facet.column) || values.length <= SHORT + 2;
    fill(list, values.slice(0, all ? 300 : Math.max(SHORT, chosen.length)).map((value) => drawValue(view, facet.column, value, onView)),
      !all && h("li", {}, h("button", { type: "button", class: "text small", on: { click: () => { unshortened.add(facet.column); show(text); } } }, `Show all ${count(values.length)}`)));
  };
  const box = facet.values.length > MANY && h("input", {
    type: "search", placeholder: `Find among ${count(facet.values.length)}`, "aria-label": `Find a ${words(facet.column)}`,
    on: { input: (event) => { typed.set(facet.column, event.target.value); show(event.target.value); } },
  });
  if (box) box.value = typed.get(facet.column) ?? "";
  show(box ? box.value : "");
  return h("details", { class: "facet", open: isOpen, data: { column: facet.column }, on: { toggle: (event) => unfolded.set(facet.column, event.target.open) } },
    h("summary", {}, words(facet.column), chosen.length ? h("span", { class: "muted" }, ` (${chosen.length})`) : null), box || null, list);
}

function drawValue(view, column, value, onView) {
  return h("li", {}, h("label", { class: value.cells || value.chosen ? "" : "none" },
    h("input", { type: "checkbox", checked: value.chosen, data: { filter: `${column}:${value.value}` }, on: { change: () => onView(view().toggle(column, value.value)) } }),
    h("span", {}, value.value), h("span", { class: "n" }, count(value.cells))));
}

export function drawChips(view, onView) {
  const chips = view.filters.map((text) => {
    const [column, ...rest] = text.split(":"), value = rest.join(":");
    return h("button", { type: "button", class: "chip", "aria-label": `Remove filter ${words(column)} ${value}`, on: { click: () => onView(view.toggle(column, value)) } },
      h("span", {}, `${words(column)} `), value, h("span", {}, " ×"));
  });
  const clear = chips.length > 1 && h("button", { type: "button", class: "quiet", on: { click: () => onView(view.with({ filter: null, page: null, group: null })) } }, "Clear all");
  fill(byId("chips"), chips, clear);
}
