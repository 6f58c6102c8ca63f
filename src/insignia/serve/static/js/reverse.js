// The reverse: which programs and genes stand out in the chosen cells, against healthy ones or all others.
import { count, fill, h, number, plural } from "./dom.js";

const SHOWN = 12;

/** What the chosen cells can be compared with. */
export function references(view) {
  const diseases = view.filters.filter((text) => text.startsWith("disease:"));
  const others = view.filters.filter((text) => !text.startsWith("disease:"));
  const found = [["rest", "all other cells", []]];
  if (diseases.length && !diseases.includes("disease:normal")) found.unshift(["normal", "the same cells of healthy donors", [...others, "disease:normal"]]);
  return found;
}

export function drawReverseControls(view, onView) {
  const choices = references(view);
  const chosen = choices.find(([value]) => value === view.get("reverse"))?.[0] ?? choices[0][0];
  const select = h("select", { id: "reverse-than", "aria-label": "Compared with" }, choices.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
  const ask = () => onView(view.with({ reverse: select.value }), "reverse-than");
  select.addEventListener("change", () => view.get("reverse") && ask());
  return h("div", { class: "pager" }, h("label", {}, "Against ", select), h("button", { type: "button", on: { click: ask } }, "Ask what stands out"));
}

export function drawReverse(body, controls, found, onSearch) {
  const cell = (value, digits = 2) => h("td", { class: "number" }, number(value, digits));
  const head = (names) => h("thead", {}, h("tr", {}, names.map((text, i) => h("th", { scope: "col", class: i ? "number" : "" }, text))));
  const programs = found.programs.map((row) => h("tr", { class: row.testable ? "" : "muted" },
    h("th", { scope: "row" }, h("button", { type: "button", class: "text", on: { click: () => onSearch({ signature: row.signature, genes: null, name: null }) } }, row.signature)),
    cell(row.mean_score, 3), cell(row.reference_score, 3), cell(row.effect), cell(row.q)));
  const genes = found.genes.slice(0, SHOWN).map((row) => h("tr", { class: row.testable ? "" : "muted" },
    h("th", { scope: "row" }, row.gene), cell(row.mean_attribution, 3), cell(row.reference_attribution, 3), cell(row.effect), cell(row.q)));
  const up = found.genes.filter((row) => row.shift > 0).slice(0, 25).map((row) => row.gene);
  const search = up.length > 1 && h("button", { type: "button", on: { click: () => onSearch({ signature: null, genes: up.join(" "), name: "genes that stand out" }) } }, `Search the first ${count(up.length)} that are higher`);
  const first = found.programs[0];
  fill(body, controls, h("p", {}, found.sentence),
    h("div", { class: "pair" },
      h("div", { class: "scroll" }, h("h3", {}, "Programs"), h("table", {}, head(["program", "here", "there", "effect", "q"]), h("tbody", {}, programs))),
      h("div", { class: "scroll" }, h("h3", {}, `Genes, ${count(Math.min(SHOWN, found.n_genes))} of ${count(found.n_genes)}`), h("table", {}, head(["gene", "here", "there", "effect", "q"]), h("tbody", {}, genes)), search)),
    h("p", { class: "caption" }, `Means of scores and attributions over donors (${plural(first?.donors ?? 0, "donor")}${found.is_paired ? ", each compared with itself" : ` against ${count(first?.reference_donors ?? 0)}`}); effect in standard deviations of donors. Attributions of a cell add up to 1,000: what some genes gain, others lose. ${count(found.n_genes_left_out)} genes are in too few cells to be ranked.`));
}
