// Donors of each group against a reference: the test of the command line, as a forest.
import { count, fill, h, hideTip, number, percent, plural, showTip } from "./dom.js";

const { d3 } = globalThis;
const TESTS = [["van_elteren", "van Elteren, within studies"], ["meta", "meta-analysis over studies"], ["beta_binomial", "beta-binomial model"], ["mann_whitney", "Mann-Whitney, studies ignored"]];

/** What the others are compared with: what was chosen, else the healthy, else the largest group. */
export const reference = (view, groups) => view.get("against") || (groups.includes("normal") ? "normal" : groups[0] ?? "normal");

export function drawCompareControls(view, groups, onView) {
  const against = reference(view, groups);
  const known = groups.includes(against) ? groups : [against, ...groups];
  const choose = (name, usual, label, options) => h("label", {}, `${label} `, h("select", {
    id: `compare-${name}`, on: { change: (event) => onView(view.with({ [name]: event.target.value === usual ? null : event.target.value, compare: "1" }), `compare-${name}`) },
  }, options.map(([value, text]) => h("option", { value, selected: (name === "against" ? against : view.get(name, usual)) === value }, text))));
  return h("div", { class: "pager" }, choose("against", null, "Against", known.map((group) => [group, group])), choose("test", "van_elteren", "Test", TESTS));
}

export function drawComparison(body, controls, found) {
  const tested = found.rows.filter((row) => row.shift !== null);
  const head = ["group", "donors", "studies", "hits", "difference", "", "q", "note"];
  const low = Math.min(0, ...tested.map((row) => row.low ?? row.shift)), high = Math.max(0.01, ...tested.map((row) => row.high ?? row.shift));
  const x = d3.scaleLinear([low, high], [8, 172]).nice();
  const rows = found.rows.map((row) => h("tr", { class: row.testable ? "" : "muted" },
    h("th", { scope: "row" }, row.group), h("td", { class: "number" }, `${count(row.donors)} v ${count(row.reference_donors)}`),
    h("td", { class: "number" }, `${row.studies_with_both} of ${row.studies}`), h("td", { class: "number" }, `${percent(row.mean_fraction)} v ${percent(row.reference_fraction)}`),
    h("td", { class: "number" }, row.shift === null ? "–" : `${row.shift > 0 ? "+" : ""}${number(100 * row.shift)}`), h("td", {}, row.shift === null ? "" : whisker(row, x, found.alpha)),
    h("td", { class: "number" }, row.q === null ? "–" : number(row.q, 2)), h("td", { class: "small" }, row.note)));
  fill(body, controls, h("p", {}, found.verdict),
    h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, head.map((text, i) => h("th", { scope: "col", class: i && i < 7 ? "number" : "" }, text)))), h("tbody", {}, rows))),
    h("p", { class: "caption" }, "Donors are the units, never cells. Difference: percentage points of hits (Hodges-Lehmann, within studies) with a bootstrap interval of 95 %. Studies: with both groups, of those with cases. Association, not mechanism."));
}

function whisker(row, x, alpha) {
  const svg = d3.create("svg").attr("width", 180).attr("height", 18).attr("aria-hidden", "true");
  svg.append("line").attr("class", "expected").attr("x1", x(0)).attr("x2", x(0)).attr("y1", 0).attr("y2", 18);
  if (row.low !== null && row.high !== null) svg.append("line").attr("class", "median").attr("x1", x(row.low)).attr("x2", x(row.high)).attr("y1", 9).attr("y2", 9);
  svg.append("rect").attr("class", row.q !== null && row.q <= alpha ? "s0" : "rest").attr("x", x(row.shift) - 4).attr("y", 5).attr("width", 8).attr("height", 8);
  svg.on("mouseenter", (event) => showTip(event, row.group, [`${number(100 * row.shift)} points, ${number(100 * row.low)} to ${number(100 * row.high)}`, `p ${number(row.p, 2)}, ${plural(row.donors, "donor")}`])).on("mouseleave", hideTip);
  return svg.node();
}
