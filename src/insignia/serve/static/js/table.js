// The sample table: sorted and paged by the server, so that it holds as many samples as there are.
import { count, fill, h, number, percent } from "./dom.js";

const COLUMNS = [
  ["study", (row) => row.study], ["sample", (row) => row.sample], ["donor", (row) => row.donor], ["tissue", (row) => row.tissue], ["disease", (row) => row.disease],
  ["cells", (row) => count(row.cells)], ["hits", (row) => count(row.hits)], ["fraction", (row) => percent(row.fraction)], ["mean_score", (row) => number(row.mean_score)],
];
const NUMERIC = new Set(["cells", "hits", "fraction", "mean_score"]);

export function drawTable(body, found, view, { onView, onPick }) {
  const sort = view.get("sort", "fraction"), descending = view.get("descending", "true") === "true";
  const again = (name) => onView(view.with({ sort: name, descending: String(name === sort ? !descending : NUMERIC.has(name)), page: null }), `sort-${name}`);
  const head = COLUMNS.map(([name]) => h("th", { scope: "col", class: NUMERIC.has(name) ? "number" : "", "aria-sort": name === sort ? (descending ? "descending" : "ascending") : null },
    h("button", { type: "button", id: `sort-${name}`, on: { click: () => again(name) } }, name.replace("_", " "))));
  const rows = found.rows.map((row) => h("tr", {}, COLUMNS.map(([name, text]) => h("td", { class: NUMERIC.has(name) ? "number" : "" },
    name === "sample" ? h("button", { type: "button", class: "text", "aria-label": `Cells of ${row.study}, ${row.sample}`, on: { click: () => onPick(row) } }, text(row)) : text(row)))));
  const pages = Math.max(1, Math.ceil(found.total / found.page_size));
  const turn = (page, text, id) => h("button", { type: "button", id, disabled: page < 1 || page > pages, on: { click: () => onView(view.with({ page: String(page) }), id) } }, text);
  fill(body, h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows))),
    h("nav", { class: "pager", "aria-label": "Pages of the table" }, turn(found.page - 1, "Previous", "page-previous"), turn(found.page + 1, "Next", "page-next"),
      h("span", { class: "muted" }, `page ${count(found.page)} of ${count(pages)}, ${count(found.total)} samples`)));
}
