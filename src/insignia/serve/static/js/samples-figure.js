// Samples by group: a box for each group, a point for each sample, colours and shapes by study.
import { count, fill, h, hideTip, number, percent, plural, roving, showTip } from "./dom.js";

const { d3 } = globalThis;
const SHAPES = [d3.symbolCircle, d3.symbolSquare, d3.symbolTriangle, d3.symbolDiamond, d3.symbolCross, d3.symbolStar, d3.symbolWye, d3.symbolCircle, d3.symbolSquare, d3.symbolTriangle];
const SHOWN = 12;

/** Look of each study: the ten with most samples have a colour and a shape, the others are grey. */
export function looks(samples) {
  const often = d3.rollups(samples, (rows) => rows.length, (row) => row.study).sort((a, b) => b[1] - a[1] || d3.ascending(a[0], b[0]));
  const named = often.slice(0, often.length > 10 ? 9 : 10).map(([study]) => study);
  const place = new Map(named.map((study, i) => [study, i]));
  return {
    named,
    others: often.length - named.length,
    of: (study) => (place.has(study) ? { class: `s${place.get(study)}`, shape: SHAPES[place.get(study)] } : { class: "rest", shape: d3.symbolCircle }),
  };
}

/** Draw one mark of a study. */
export const mark = (look, size) => d3.symbol(look.shape, size)();

/** A legend whose entries light up their study. */
export function legend(look, svg) {
  let pressed = null;
  const light = (study) => {
    svg.classed("faded", study !== null);
    svg.selectAll(".point").classed("lit", (row) => row.study === study);
  };
  const entries = look.named.map((study) => {
    const style = look.of(study);
    const icon = d3.create("svg").attr("width", 12).attr("height", 12).attr("viewBox", "-6 -6 12 12").attr("aria-hidden", "true");
    icon.append("path").attr("class", style.class).attr("d", mark(style, 60));
    const button = h("button", {
      type: "button", "aria-pressed": "false",
      on: {
        mouseenter: () => light(study), mouseleave: () => light(pressed),
        click: () => {
          pressed = pressed === study ? null : study;
          for (const other of list.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button && pressed !== null));
          light(pressed);
        },
      },
    }, icon.node(), study);
    return h("li", {}, button);
  });
  const list = h("ul", { class: "legend", "aria-label": "Studies" }, entries, look.others ? h("li", { class: "muted" }, `and ${look.others} in grey`) : null);
  return list;
}

/** Offsets that spread points of nearly equal value to both sides of their line. */
function spread(rows, x, radius, most) {
  const placed = [];
  for (const row of [...rows].sort((a, b) => a.fraction - b.fraction)) {
    const cx = x(row.fraction);
    const near = placed.filter((other) => Math.abs(other.cx - cx) < 2 * radius);
    let best = 0;
    for (let step = 0; step <= most / radius * 2; step += 1) {
      best = (step % 2 ? 1 : -1) * Math.ceil(step / 2) * radius;
      if (near.every((other) => (other.cx - cx) ** 2 + (other.dy - best) ** 2 >= (2 * radius) ** 2)) break;
    }
    placed.push({ row, cx, dy: Math.max(-most, Math.min(most, best)) });
  }
  return placed;
}

export function drawSamples(body, found, { by, all, onAll, onPick }) {
  const groups = all ? found.groups : found.groups.slice(0, SHOWN);
  if (!found.samples.length) {
    fill(body, h("p", { class: "waiting" }, "No sample has enough scored cells. Lower “Least cells of a sample”, or widen the filters."));
    return;
  }
  const holder = h("div");
  const rows = d3.group(found.samples.filter((row) => row.fraction !== null), (row) => row[by]);
  const look = looks(found.samples);
  const width = Math.max(280, body.clientWidth), isNarrow = width < 620;
  const left = isNarrow ? 6 : Math.min(240, Math.max(170, 24 + 6.6 * d3.max(groups, (group) => Math.min(32, group.group.length))));
  const pitch = isNarrow ? 62 : 46, top = 8, height = top + pitch * groups.length + 40;
  const most = d3.max(found.samples, (row) => row.fraction) || 0.01;
  const x = d3.scaleLinear([0, Math.max(0.02, most * 1.02)], [left, width - 16]).nice(6);
  const svg = d3.create("svg").attr("width", width).attr("height", height).attr("viewBox", `0 0 ${width} ${height}`)
    .attr("role", "group").attr("aria-label", `Share of hits in each sample, by ${by}. Arrow keys move between samples, Enter opens one.`);
  svg.append("g").attr("class", "axis").attr("transform", `translate(0,${height - 34})`).attr("aria-hidden", "true")
    .call(d3.axisBottom(x).ticks(isNarrow ? 4 : 7).tickFormat((value) => percent(value).replace(".0", "")).tickSize(-(height - 34 - top)).tickPadding(8))
    .call((axis) => axis.select(".domain").remove());
  svg.append("text").attr("class", "soft").attr("x", width - 16).attr("y", height - 2).attr("text-anchor", "end").text("share of scored cells that are hits");
  if (found.expected !== null && found.expected <= x.domain()[1]) {
    svg.append("line").attr("class", "expected").attr("x1", x(found.expected)).attr("x2", x(found.expected)).attr("y1", top).attr("y2", height - 34);
  }
  const points = groups.flatMap((group, i) => drawGroup(svg, group, rows.get(group.group) ?? [], {
    x, look, isNarrow, left, width, y: top + pitch * i, pitch, radius: found.samples.length > 400 ? 3 : 4.6, onPick,
  }));
  holder.append(svg.node());
  roving(points);
  const hidden = found.groups.length - groups.length;
  const more = hidden > 0 && h("button", { type: "button", class: "text small", on: { click: onAll } }, `Show ${plural(hidden, "more group").replace("more groups", "more groups")}`);
  const few = groups.some((group) => !group.enough) ? " Groups on grey have too few samples to be ranked." : "";
  const kept = found.samples.length < found.n_samples ? ` The first ${count(found.samples.length)} of ${count(found.n_samples)} samples are drawn; downloads hold all.` : "";
  fill(body, holder, more, legend(look, svg), h("p", { class: "caption" },
    `Each point is a sample, coloured by study; open it for its cells. Boxes span the quartiles with a line at the median, the diamond is the mean, the dashed line the share over all cells searched.${few}${kept}`));
}

function drawGroup(svg, group, rows, { x, look, isNarrow, left, width, y, pitch, radius, onPick }) {
  const middle = y + (isNarrow ? 40 : pitch / 2), half = isNarrow ? 13 : 14;
  const row = svg.append("g");
  if (!group.enough) row.append("rect").attr("class", "few").attr("x", 0).attr("y", y + 1).attr("width", width).attr("height", pitch - 2).attr("rx", 4);
  const label = row.append("text").attr("x", isNarrow ? 6 : left - 12).attr("y", isNarrow ? y + 18 : middle - 2).attr("text-anchor", isNarrow ? "start" : "end");
  label.append("tspan").text(group.group.length > 34 ? `${group.group.slice(0, 33)}…` : group.group);
  const note = `${plural(group.samples, "sample")}, ${plural(group.studies, "study")}`;
  if (isNarrow) label.append("tspan").attr("class", "muted").attr("font-size", "11.5px").text(`  ${note}`);
  else row.append("text").attr("class", "soft").attr("x", left - 12).attr("y", middle + 13).attr("text-anchor", "end").text(note);
  const values = rows.map((one) => one.fraction).sort(d3.ascending);
  if (group.enough && values.length >= 3) {
    const [low, mid, high] = [0.25, 0.5, 0.75].map((q) => d3.quantileSorted(values, q));
    row.append("rect").attr("class", "box").attr("x", x(low)).attr("width", Math.max(1, x(high) - x(low))).attr("y", middle - half).attr("height", 2 * half).attr("rx", 2);
    row.append("line").attr("class", "median").attr("x1", x(mid)).attr("x2", x(mid)).attr("y1", middle - half).attr("y2", middle + half);
  }
  const placed = spread(rows, x, radius, half + 4);
  const marks = row.selectAll("path.point").data(placed.map((one) => one.row)).join("path")
    .attr("class", (one) => `point ${look.of(one.study).class}`)
    .attr("d", (one) => mark(look.of(one.study), 12 * radius))
    .attr("transform", (_, i) => `translate(${placed[i].cx},${middle + placed[i].dy})`)
    .attr("role", "button")
    .attr("aria-label", (one) => `${group.group}: ${one.study}, ${one.sample}, ${percent(one.fraction)} of ${count(one.cells)} cells`)
    .on("mouseenter focus", (event, one) => showTip(event, `${one.study}, ${one.sample}`, [
      `${one.disease}, ${one.tissue}, ${one.donor}`, `${percent(one.fraction)}: ${count(one.hits)} of ${count(one.cells)} cells are hits`, `mean score ${number(one.mean_score)}`]))
    .on("mouseleave blur", hideTip)
    .on("click", (_, one) => onPick(one))
    .on("keydown", (event, one) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); onPick(one); } });
  if (group.enough && group.mean_fraction !== null && values.length >= 3) {
    row.append("path").attr("class", "mean").attr("d", d3.symbol(d3.symbolDiamond, 46)()).attr("transform", `translate(${x(group.mean_fraction)},${middle + half})`).attr("pointer-events", "none");
  }
  return marks.nodes();
}
