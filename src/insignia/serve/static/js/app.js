// The explorer: one view, which the address holds; every change makes a new view, and draws it.
import { atlasUrl, get } from "./api.js";
import { drawComparison, drawCompareControls, reference } from "./compare.js";
import { announce, byId, count, fill, h, hideTip, plural, words } from "./dom.js";
import { openSample } from "./drill.js";
import { drawChips, drawFacets } from "./facets.js";
import { drawContributions, drawMatch } from "./genes-panel.js";
import { drawHeatMap } from "./heat-map.js";
import { drawReverse, drawReverseControls, references } from "./reverse.js";
import { drawSamples } from "./samples-figure.js";
import { SearchBox } from "./search-box.js";
import { drawSettings } from "./settings.js";
import { View } from "./state.js";
import { drawTable } from "./table.js";
import { drawTwo, drawTwoControls } from "./two.js";

let view = new View();
let atlases = [], signatures = [], answer = null, box;
const shown = { allGroups: false, allGenes: false, contributions: null };
const body = (id) => byId(id).querySelector(".body");
const atlas = () => atlases.find((one) => one.name === view.get("atlas"));
const path = (name, query) => atlasUrl(view.get("atlas"), name, query);

/** Go to another view; `focus` names the element that keeps the focus after it is drawn anew. */
function go(next, focus = null, { replace = false, onlyClosed = false } = {}) {
  const before = view;
  if (next.address === before.address) return;
  view = next;
  history[replace ? "replaceState" : "pushState"](null, "", view.address);
  if (onlyClosed) return;
  draw(before).then(() => focus && byId(focus)?.focus());
}

const changed = (before, ...names) => !before || names.some((name) => before.params.getAll(name).join("\n") !== view.params.getAll(name).join("\n"));
const QUESTION = ["atlas", "signature", "genes", "name", "filter", "agg", "min_coverage", "rule", "cut", "within", "reference", "by", "min_cells", "min_samples"];

async function draw(before) {
  hideTip();
  const isNew = changed(before, ...QUESTION);
  if (isNew) {
    problem(null);
    box.show(view);
    byId("atlas").value = view.get("atlas");
    drawChips(view, go);
    drawSettings(view, atlas()?.facets ?? [], go);
    drawStart();
  }
  const parts = [];
  if (changed(before, "atlas", "filter")) parts.push(facets());
  if (view.asked) {
    if (changed(before, "atlas", "signature", "genes", "name")) parts.push(match());
    if (isNew) parts.push(search());
    if (isNew || changed(before, "sort", "descending", "page")) parts.push(table());
    if (isNew || changed(before, "group")) parts.push(contributions());
    if (isNew || changed(before, "against", "test", "compare")) parts.push(compare());
    if (isNew || changed(before, "other", "other_genes")) parts.push(two());
    if (isNew || changed(before, "reverse")) parts.push(reverse());
    if (isNew || [...view.params.keys(), ...(before?.params.keys() ?? [])].some((name) => name.startsWith("s."))) parts.push(openSample(view, go, problem));
  } else {
    byId("found").hidden = true;
    fill(byId("match"));
    document.title = "insignia explorer";
  }
  await Promise.all(parts);
}

function problem(error) {
  const found = error && [h("strong", {}, error.title ?? "Something broke"), error.message];
  fill(byId("problem"), found ? h("div", { class: "alert" }, found) : null);
  if (error && !error.title) console.error(error);
}

/** Draw a part; what goes wrong stands where the part would be. */
async function part(node, work) {
  node?.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    if (!error.title) console.error(error);
    if (node) fill(node, h("p", { class: "note" }, error.message));
  } finally {
    node?.removeAttribute("aria-busy");
  }
}

const facets = () => part(byId("facets"), async () => {
  const found = await get("facets", path("facets", view.only("filter")));
  if (found) drawFacets(() => view, found, go);
});

const match = () => part(byId("match"), async () => {
  try {
    const found = await get("match", path("match", view.only("signature", "genes", "name")));
    if (found) drawMatch(found);
  } catch {
    // the search says what is wrong with the signature
    fill(byId("match"));
  }
});

async function search() {
  const asked = view;
  try {
    const found = await get("search", path("search", view.question()));
    if (!found) return;
    answer = found;
    drawAnswer(asked);
  } catch (error) {
    answer = null;
    byId("found").hidden = true;
    problem(error);
    announce(`${error.title}. ${error.message}`);
  }
}

function drawAnswer(asked) {
  byId("found").hidden = false;
  document.title = `${answer.signature} – insignia explorer`;
  const [lead, ...others] = answer.answer;
  const of = answer.rule === "percentile" ? `percentile ${view.get("cut", "90")}` : `${answer.rule} ${view.get("cut")}`;
  fill(byId("answer").querySelector("div"), h("p", { class: "lead" }, lead), others.length ? h("p", {}, others.join(" ")) : null,
    h("p", { class: "facts" }, `${count(answer.hits)} hits among ${count(answer.cells)} cells, above ${answer.cutoff} (${of}). `,
      `${plural(answer.n_samples, "sample")}, ${count(answer.n_excluded)} put aside. ${answer.seconds < 0.1 ? "" : `${answer.seconds.toFixed(1)} s.`}`),
    h("details", { class: "more" }, h("summary", {}, `What these numbers do not say${answer.warnings.length ? `, and ${plural(answer.warnings.length, "warning")}` : ""}`),
      h("ul", {}, [...answer.warnings, ...answer.cautions].map((text) => h("li", {}, text)))));
  drawFigure();
  drawHeatMap(body("heat"), answer, view, go);
  const query = asked.question(), figure = asked.question({ top: "20" });
  fill(byId("figure-links"), link("SVG", path("figure.svg", figure)), link("PNG", path("figure.png", figure)));
  fill(byId("table-links"), link("CSV", path("samples.csv", query)), link("Parquet", path("samples.parquet", query)));
  drawRepeat(query);
  announce(`${lead} ${count(answer.hits)} hits among ${count(answer.cells)} cells.`);
}

const link = (text, href) => h("a", { href, download: "" }, text);

function drawFigure() {
  if (!answer) return;
  drawSamples(body("samples"), answer, { by: view.get("by", "disease"), all: shown.allGroups, onAll: () => { shown.allGroups = true; drawFigure(); }, onPick: pick });
}

function pick(row) {
  hideTip();
  go(view.with({ "s.page": null }).withSample(row));
}

const table = () => part(body("table"), async () => {
  const found = await get("table", path("samples", view.question({ sort: view.get("sort"), descending: view.get("descending"), page: view.get("page") })));
  if (found) drawTable(body("table"), found, view, { onView: (next, focus) => go(next, focus, { replace: true }), onPick: pick });
});

const contributions = () => part(body("genes"), async () => {
  const found = await get("genes", path("contributions", view.question({ group: view.get("group") })));
  if (!found) return;
  const show = () => drawContributions(body("genes"), found, {
    all: shown.allGenes, onAll: () => { shown.allGenes = !shown.allGenes; show(); }, onGroup: (group) => go(view.with({ group }), null, { replace: true }),
  });
  show();
});

const compare = () => part(body("compare"), async () => {
  const node = body("compare");
  if (!view.get("compare")) {
    fill(node, h("p", {}, "Test whether donors of each group differ from those of a reference, within studies. ",
      h("button", { type: "button", on: { click: () => go(view.with({ compare: "1" }), "compare-against") } }, "Compare donors")));
    return;
  }
  const waiting = await knownGroups();
  if (waiting.length < 2) {
    fill(node, h("p", {}, `Only one ${words(view.get("by", "disease"))} is chosen; take its filter away, or choose a second one to compare it with.`));
    return;
  }
  const controls = drawCompareControls(view, waiting, go);
  fill(node, controls, h("p", { class: "waiting" }, "Comparing donors…"));
  try {
    const found = await get("compare", path("compare", view.question({ against: reference(view, waiting), test: view.get("test") })));
    if (found) drawComparison(node, controls, found);
  } catch (error) {
    fill(node, controls, h("p", { class: "note" }, error.message));
  }
});

async function knownGroups() {
  const column = view.get("by", "disease");
  const found = await get("groups", path("facets", view.only("filter")));
  const values = (found?.facets.find((facet) => facet.column === column)?.values ?? []).filter((value) => value.cells);
  // a facet counts beside its own filters; the comparison has only what they leave
  return (values.some((value) => value.chosen) ? values.filter((value) => value.chosen) : values).map((value) => value.value);
}

const two = () => part(body("two"), async () => {
  const node = body("two");
  const controls = drawTwoControls(view, signatures, (next, focus) => go(next, focus));
  if (!view.get("other") && !view.get("other_genes")) {
    fill(node, controls);
    return;
  }
  fill(node, controls, h("p", { class: "waiting" }, "Searching the second signature…"));
  try {
    const found = await get("two", path("two", view.question({ other: view.get("other"), other_genes: view.get("other_genes") })));
    if (found) drawTwo(node, controls, found, pick);
  } catch (error) {
    fill(node, controls, h("p", { class: "note" }, error.message));
  }
});

const reverse = () => part(body("reverse"), async () => {
  const node = body("reverse");
  if (!view.filters.length) {
    fill(node, h("p", {}, "Choose some cells by filters or in the heat map; then ask which programs and genes stand out in them."));
    return;
  }
  const controls = drawReverseControls(view, go);
  if (!view.get("reverse")) {
    fill(node, controls);
    return;
  }
  fill(node, controls, h("p", { class: "waiting" }, "Reading all genes of these cells…"));
  const query = view.only("filter", "min_cells");
  const [, , than] = references(view).find(([value]) => value === view.get("reverse")) ?? references(view)[0];
  for (const text of than) query.append("than", text);
  try {
    const found = await get("reverse", path("reverse", query));
    if (found) drawReverse(node, controls, found, (asked) => go(view.with({ ...asked, page: null, group: null, reverse: null })));
  } catch (error) {
    fill(node, controls, h("p", { class: "note" }, error.message));
  }
});

function drawRepeat(query) {
  const copy = (text) => h("button", { type: "button", on: { click: async (event) => { await navigator.clipboard.writeText(text); event.target.textContent = "Copied"; announce("Copied"); } } }, "Copy");
  const address = `${location.origin}${view.address}`;
  fill(body("repeat"),
    h("p", {}, "This page's address opens exactly this view. ", copy(address), " ", h("a", { class: "button", href: path("report.html", query), download: "" }, "Save as one page"), " ",
      h("a", { href: path("search", query) }, "data behind it")),
    h("p", { class: "small muted" }, "On the command line:"), h("pre", {}, answer.command),
    h("p", { class: "small muted" }, `Atlas ${answer.atlas}, version ${answer.version.slice(0, 12)}. Genes: ${answer.match}. Cut-off taken from ${answer.cutoff_from}.`));
}

function drawStart() {
  const known = atlas();
  if (view.asked || !known) {
    fill(byId("start"));
    return;
  }
  const choices = signatures.map((one) => h("li", {}, h("button", { type: "button", on: { click: () => go(view.with({ signature: one.name })) } },
    h("strong", {}, one.name, h("span", { class: "muted" }, plural(one.genes, "gene"))), h("span", { class: "small muted" }, one.description))));
  fill(byId("start"), h("div", { class: "start" }, h("h1", {}, "Where is a gene program active?"),
    h("p", {}, `${known.name} holds ${count(known.cells)} cells of ${plural(known.studies, "study")}, attributed by ${known.method.replaceAll("_", " ")} to ${count(known.genes)} genes. Search a signature, paste genes, upload a GMT file, or begin with one of these:`),
    h("ul", {}, choices)));
}

async function begin() {
  try {
    [atlases, { signatures }] = await Promise.all([get("atlases", "/api/atlases"), get("signatures", "/api/signatures")]);
  } catch (error) {
    problem(error);
    return;
  }
  fill(byId("atlas"), atlases.map((one) => h("option", { value: one.name }, one.name)));
  byId("atlas").addEventListener("change", (event) => go(view.with({ atlas: event.target.value, filter: null, page: null, group: null, against: null }).withSample(null)));
  byId("atlas").closest("label").hidden = atlases.length < 2;
  if (!view.get("atlas")) {
    view = view.with({ atlas: atlases[0].name });
    history.replaceState(null, "", view.address);
  }
  box = new SearchBox({
    signatures, atlas: () => view.get("atlas"), onProblem: problem,
    onSearch: (asked) => { const next = view.with({ ...asked, page: null, group: null }).withSample(null); next.address === view.address ? draw(null) : go(next); },
  });
  addEventListener("popstate", () => { const before = view; view = new View(); draw(before); });
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; drawFigure(); } });
  if (innerWidth < 832) byId("filters-box").open = false;
  if (!atlas()) problem({ title: "There is no such atlas here", message: `The address asks for ${view.get("atlas")}; there are ${atlases.map((one) => one.name).join(", ")}.` });
  else await draw(null);
  document.body.dataset.ready = "true";
}

begin();
