// One sample from near: its cells, the highest score first, and what puts them there.
import { atlasUrl, get } from "./api.js";
import { byId, count, fill, h, number, percent } from "./dom.js";

export async function openSample(view, onView, onProblem) {
  const dialog = byId("drill"), sample = view.sample;
  if (!sample) {
    if (dialog.open) dialog.close();
    return;
  }
  const query = view.question({ ...sample, page: view.get("s.page", "1") });
  let found;
  try {
    found = await get("cells", atlasUrl(view.get("atlas"), "cells", query));
  } catch (error) {
    onView(view.withSample(null));
    onProblem(error);
    return;
  }
  if (!found) return;
  draw(dialog, found, sample, view, onView);
  const genes = byId("drill-genes");
  fill(genes, h("p", { class: "small muted" }, "Reading all genes of these cells…"));
  get("sample-genes", atlasUrl(view.get("atlas"), "sample_genes", query)).then((all) => all && drawGenes(genes, all)).catch((error) => fill(genes, h("p", { class: "note" }, error.message)));
  if (!dialog.open) {
    dialog.showModal();
    dialog.onclose = () => onView(view.with({ "s.page": null }).withSample(null), null, { onlyClosed: true });
  }
}

/** The genes of the whole atlas that matter most in these cells; those of the signature are set apart. */
function drawGenes(node, found) {
  fill(node, h("h3", {}, "Genes that matter most in these cells"), h("div", { class: "pills" }, found.genes.map((gene) => h("span", {
    class: `pill${gene.in_signature ? " renamed" : ""}`, title: `mean attribution ${number(gene.attribution)}, in ${percent(gene.detection)} of the cells`,
  }, gene.gene, h("span", { class: "muted" }, ` ${number(gene.attribution)}`)))), h("p", { class: "caption" }, "By mean attribution over all genes of the atlas; those with a golden edge belong to the signature."));
}

function draw(dialog, found, sample, view, onView) {
  const pages = Math.max(1, Math.ceil(found.cells / found.page_size));
  const most = Math.max(...found.rows.map((row) => Math.abs(row.score ?? 0)), 1e-12);
  const has = found.rows.some((row) => row.top_genes?.length);
  const rows = found.rows.map((row) => {
    const bar = h("div", { class: "bar" });
    bar.style.width = `${(100 * Math.max(0, row.score ?? 0)) / most}%`;
    return h("tr", {}, h("th", { scope: "row", class: "cell" }, h("code", {}, row.barcode)), h("td", {}, row.cell_type), h("td", { class: "track" }, bar),
      h("td", { class: "number" }, number(row.score)), h("td", {}, row.is_hit ? "hit" : ""), has ? h("td", { class: "small cell-genes" }, row.top_genes.map((gene) => h("span", { class: `pill${gene.in_signature ? " renamed" : ""}`, title: `attribution ${number(gene.attribution)}` }, gene.gene))) : null);
  });
  const turn = (page, text, id) => h("button", { type: "button", id, disabled: page < 1 || page > pages, on: { click: () => onView(view.with({ "s.page": String(page) }), id) } }, text);
  const close = h("button", { type: "button", on: { click: () => dialog.close() } }, "Close");
  fill(dialog, h("div", { class: "card-head" }, h("h2", { id: "drill-title" }, `${found.study}, ${found.sample}`), close),
    h("p", {}, [sample.disease, sample.tissue, sample.donor].filter(Boolean).join(", "), ` – ${count(found.hits)} of ${count(found.cells)} cells are hits (${percent(found.cells ? found.hits / found.cells : null)})`),
    h("div", { id: "drill-genes" }),
    h("div", { class: "scroll" }, h("table", { class: "bars" }, h("thead", {}, h("tr", {}, ["cell", "cell type", "", "score", "", ...(has ? ["genes that matter most"] : [])].map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows))),
    h("nav", { class: "pager", "aria-label": "Pages of the cells" }, turn(found.page - 1, "Previous", "cells-previous"), turn(found.page + 1, "Next", "cells-next"),
      h("span", { class: "muted" }, `page ${count(found.page)} of ${count(pages)}`)));
}
