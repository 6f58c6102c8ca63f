// How hits are called: what the options of `insignia search` are on the command line.
import { byId, fill, h, words } from "./dom.js";

const CUTS = { percentile: ["Percentile", "90", 0, 100], quantile: ["Quantile", "0.9", 0, 1], mad: ["Robust standard deviations", "3", null, null], value: ["Score", "1", null, null] };

export function drawSettings(view, facets, onView) {
  const rule = view.get("rule", "percentile");
  const [label, usual, min, max] = CUTS[rule] ?? CUTS.percentile;
  const change = (name, fallback) => (event) => {
    if (!event.target.reportValidity()) return;
    onView(view.with({ [name]: event.target.value === fallback ? null : event.target.value, page: null }));
  };
  const select = (name, text, options, fallback) => h("label", {}, text,
    h("select", { name, on: { change: change(name, fallback) } }, options.map(([value, shown]) => h("option", { value, selected: view.get(name, fallback) === value }, shown))));
  const numeric = (name, text, fallback, limits) => h("label", {}, text,
    h("input", { type: "number", name, value: view.get(name, fallback), required: true, ...limits, on: { change: change(name, fallback) } }));
  const whenRule = (event) => onView(view.with({ rule: event.target.value === "percentile" ? null : event.target.value, cut: event.target.value === "percentile" ? null : CUTS[event.target.value][1], page: null }));
  fill(byId("settings"),
    h("label", {}, "Hit rule", h("select", { name: "rule", on: { change: whenRule } }, Object.keys(CUTS).map((value) => h("option", { value, selected: rule === value }, value)))),
    numeric("cut", label, usual, { step: "any", ...(min === null ? {} : { min: String(min), max: String(max) }) }),
    select("within", "Cut-off of its own for each", [["", "none: one cut-off"], ...facets.map((name) => [name, words(name)])], ""),
    h("label", {}, "Cut-off taken from", h("select", {
      name: "reference", on: { change: (event) => onView(view.with({ reference: event.target.value || null, page: null })) },
    }, [["", "all chosen cells"], ["disease:normal", "healthy cells (disease normal)"]].map(([value, shown]) => h("option", { value, selected: view.get("reference") === value }, shown)))),
    select("by", "Group samples by", [["disease", "disease"], ["tissue", "tissue"], ["study", "study"]], "disease"),
    select("agg", "Combine genes by", [["mean", "mean, by size of weights"], ["weighted_mean", "weighted mean"], ["sum", "sum"]], "mean"),
    numeric("min_cells", "Least cells of a sample", "25", { min: "1", step: "1" }),
    numeric("min_samples", "Least samples of a ranked group", "3", { min: "1", step: "1" }),
    numeric("min_coverage", "Least measured share of the signature", "0.5", { min: "0", max: "1", step: "any" }));
}
