// What became of each gene, and what each adds to the score of a group.
import { byId, count, fill, h, number, percent, plural } from "./dom.js";

const SHOWN = 15;

export function drawMatch(found) {
  const odd = found.genes.filter((gene) => gene.status !== "matched");
  const parts = [`${count(found.matched)} of ${plural(found.genes.length, "gene")} found by name`];
  for (const status of ["renamed", "ambiguous", "missing"]) if (found[status]) parts.push(`${count(found[status])} ${status}`);
  const pill = (gene) => h("span", { class: `pill ${gene.status}`, title: gene.status },
    gene.gene, gene.found_as && gene.found_as !== gene.gene ? ` → ${gene.found_as}` : "", gene.weight !== 1 ? ` (${number(gene.weight)})` : "",
    gene.status === "missing" || gene.status === "ambiguous" ? h("span", { class: "muted" }, ` ${gene.status}`) : null);
  fill(byId("match"),
    h("details", { class: "more", open: found.missing + found.ambiguous > 0 && odd.length <= 12 },
      h("summary", {}, h("strong", {}, found.name), ` – ${parts.join(", ")}`),
      h("div", { class: "pills", "aria-label": "Genes" }, [...odd, ...found.genes.filter((gene) => gene.status === "matched")].map(pill))),
    found.hints.map((hint) => h("p", { class: "note" }, hint)));
}

export function drawContributions(body, found, { all, onAll, onGroup }) {
  const shown = all ? found.genes : found.genes.slice(0, SHOWN);
  const most = Math.max(...found.genes.map((gene) => Math.abs(gene.contribution ?? 0)), 1e-12);
  const rows = shown.map((gene) => {
    const bar = h("div", { class: `bar${gene.contribution < 0 ? " down" : ""}` });
    bar.style.width = `${(100 * Math.abs(gene.contribution ?? 0)) / most}%`;
    return h("tr", {}, h("th", { scope: "row" }, gene.gene), h("td", { class: "track" }, bar),
      h("td", { class: "number" }, number(gene.contribution)), h("td", { class: "number" }, percent(gene.share)), h("td", { class: "number muted" }, percent(gene.detection)));
  });
  const choice = h("select", { "aria-label": "Group", on: { change: (event) => onGroup(event.target.value) } }, found.groups.map((group) => h("option", { value: group, selected: group === found.group }, group)));
  const head = h("tr", {}, ["gene", "", "adds", "share", "cells with it"].map((text, i) => h("th", { scope: "col", class: i > 1 ? "number" : "" }, text)));
  const more = found.genes.length > SHOWN && h("button", { type: "button", class: "text small", on: { click: onAll } }, all ? "Show fewer" : `Show all ${count(found.genes.length)}`);
  fill(body, h("div", { class: "pager" }, h("label", {}, "in ", choice), h("span", { class: "muted" }, `mean score ${number(found.score)}`)),
    h("div", { class: "scroll" }, h("table", { class: "bars" }, h("thead", {}, head), h("tbody", {}, rows))), more,
    h("p", { class: "caption" }, `What genes add to the mean score; the parts add up to it. Means give each ${found.unit} one voice.`));
}
