// Two signatures over the same samples and cells.
import { count, fill, h, hideTip, percent, roving, showTip } from "./dom.js";
import { legend, looks, mark } from "./samples-figure.js";
import { read } from "./search-box.js";

const { d3 } = globalThis;

export function drawTwoControls(view, signatures, onView) {
  const box = h("input", { type: "search", id: "other", list: "bundled", placeholder: "Bundled name or genes", value: view.get("other") || view.get("other_genes"), "aria-label": "Second signature" });
  const submit = (event) => {
    event.preventDefault();
    const asked = read(box.value, signatures);
    const isWord = asked.genes && !/\s/.test(asked.genes) && box.value.length < 3;
    onView(view.with({ other: asked.signature, other_genes: isWord ? null : asked.genes }), "other");
  };
  return h("form", { class: "pager", on: { submit } }, h("label", { for: "other" }, "Beside "), box,
    h("datalist", { id: "bundled" }, signatures.map((one) => h("option", { value: one.name }))), h("button", { type: "submit" }, "Compare"));
}

export function drawTwo(body, controls, found, onPick) {
  const width = Math.min(620, Math.max(280, body.clientWidth)), height = Math.min(420, width * 0.75), margin = { left: 58, right: 12, top: 10, bottom: 44 };
  const rows = found.samples.filter((row) => row.fraction !== null && row.fraction_other !== null);
  const look = looks(rows);
  const x = d3.scaleLinear([0, Math.max(0.01, d3.max(rows, (row) => row.fraction) ?? 0)], [margin.left, width - margin.right]).nice();
  const y = d3.scaleLinear([0, Math.max(0.01, d3.max(rows, (row) => row.fraction_other) ?? 0)], [height - margin.bottom, margin.top]).nice();
  const svg = d3.create("svg").attr("width", width).attr("height", height).attr("role", "group").attr("aria-label", `Samples by share of hits of ${found.first} and of ${found.second}`);
  const ticks = (axis) => axis.ticks(5).tickFormat(percent);
  svg.append("g").attr("class", "axis").attr("transform", `translate(0,${height - margin.bottom})`).call(ticks(d3.axisBottom(x))).call((axis) => axis.select(".domain").remove());
  svg.append("g").attr("class", "axis").attr("transform", `translate(${margin.left},0)`).call(ticks(d3.axisLeft(y)).tickSize(-(width - margin.left - margin.right))).call((axis) => axis.select(".domain").remove());
  svg.append("text").attr("class", "soft").attr("x", width - margin.right).attr("y", height - 6).attr("text-anchor", "end").text(`share of hits of ${found.first}`);
  svg.append("text").attr("class", "soft").attr("x", -margin.top).attr("y", 12).attr("text-anchor", "end").attr("transform", "rotate(-90)").text(`share of hits of ${found.second}`);
  const marks = svg.append("g").selectAll("path").data(rows).join("path")
    .attr("class", (row) => `point ${look.of(row.study).class}`).attr("d", (row) => mark(look.of(row.study), 55))
    .attr("transform", (row) => `translate(${x(row.fraction)},${y(row.fraction_other)})`).attr("role", "button")
    .attr("aria-label", (row) => `${row.study}, ${row.sample}: ${percent(row.fraction)} and ${percent(row.fraction_other)}`)
    .on("mouseenter focus", (event, row) => showTip(event, `${row.study}, ${row.sample}`, [`${row.disease}, ${row.tissue}`, `${found.first} ${percent(row.fraction)}, ${found.second} ${percent(row.fraction_other)}`]))
    .on("mouseleave blur", hideTip).on("click", (_, row) => onPick(row))
    .on("keydown", (event, row) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); onPick(row); } });
  roving(marks.nodes());
  const cells = h("table", {}, h("tbody", {}, [["hits of both", found.both], [`only of ${found.first}`, found.only_first], [`only of ${found.second}`, found.only_second], ["of neither", found.neither]]
    .map(([text, n]) => h("tr", {}, h("th", { scope: "row" }, text), h("td", { class: "number" }, `${count(n)} cells`)))));
  fill(body, controls, h("p", {}, found.sentence), found.shared_genes.length ? h("p", { class: "small muted" }, `Genes of both: ${found.shared_genes.join(", ")}.`) : null,
    h("div", { class: "pair" }, h("div", {}, svg.node(), legend(look, svg)), h("div", {}, cells)));
}
