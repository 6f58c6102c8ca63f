// Cell types by tissue, as a table whose colours say how many cells are hits; a field narrows the search to itself.
import { count, fill, h, hideTip, number, percent, showTip } from "./dom.js";

const FEW = 25;

export function drawHeatMap(body, found, view, onView) {
  const map = found.heat_map;
  if (!map.rows.length) {
    fill(body, h("p", { class: "waiting" }, "No cell has a score."));
    return;
  }
  const share = map.cells.map((row, i) => row.map((cells, j) => (cells ? map.hits[i][j] / cells : null)));
  const most = Math.max(0.01, ...share.flat().filter((value) => value !== null));
  const rows = map.rows.map((type, i) => h("tr", {}, h("th", { scope: "row" }, type), map.columns.map((tissue, j) => {
    if (share[i][j] === null) return h("td", { class: "empty", "aria-label": `${type}, ${tissue}: no cells` });
    const value = share[i][j] / most;
    const lines = [`${percent(share[i][j])}: ${count(map.hits[i][j])} of ${count(map.cells[i][j])} cells are hits`, `mean score ${number(map.mean_score[i][j])}`];
    const tip = (event) => showTip(event, `${type}, ${tissue}`, lines);
    const button = h("button", {
      type: "button", "aria-label": `${type}, ${tissue}: ${lines[0]}. Search these cells only.`,
      on: { mouseenter: tip, focus: tip, mouseleave: hideTip, blur: hideTip, click: () => { hideTip(); onView(narrowed(view, type, tissue)); } },
    }, percent(share[i][j]));
    button.style.background = `rgba(var(--heat), ${(0.06 + 0.86 * value).toFixed(3)})`;
    if (value > 0.55) button.style.color = "#ffffff";
    return h("td", { class: map.cells[i][j] < FEW ? "thin" : "" }, button);
  })));
  const head = h("tr", {}, h("td", {}), map.columns.map((tissue) => h("th", { scope: "col" }, tissue)));
  fill(body, h("div", { class: "scroll" }, h("table", { class: "heat" }, h("thead", {}, head), h("tbody", {}, rows))),
    h("p", { class: "caption" }, `Share of cells that are hits; fields with a dashed edge have fewer than ${FEW} cells. Choose a field to search only its cells.`));
}

function narrowed(view, type, tissue) {
  const others = view.filters.filter((text) => !/^(cell_type|tissue):/.test(text));
  return view.with({ filter: [...others, `cell_type:${type}`, `tissue:${tissue}`], page: null, group: null });
}
