// The view, as it stands in the address: everything needed to open exactly this view again.

const QUESTION = ["signature", "genes", "name", "filter", "agg", "min_coverage", "rule", "cut", "within", "reference", "by", "min_cells", "min_samples"];
const SAMPLE = ["study", "sample", "donor", "tissue", "disease"];

export class View {
  constructor(text = location.search) {
    this.params = new URLSearchParams(text);
  }

  get(name, otherwise = "") {
    return this.params.get(name) ?? otherwise;
  }

  /** Set or, with null or "", take away; arrays are set as repeated entries. */
  with(changes) {
    const made = new View(this.params.toString());
    for (const [name, value] of Object.entries(changes)) {
      made.params.delete(name);
      for (const one of Array.isArray(value) ? value : [value]) if (one !== null && one !== undefined && one !== "") made.params.append(name, one);
    }
    return made;
  }

  get asked() {
    return this.params.has("signature") || this.params.has("genes");
  }

  get filters() {
    return this.params.getAll("filter");
  }

  has(column, value) {
    return this.filters.includes(`${column}:${value}`);
  }

  toggle(column, value) {
    const text = `${column}:${value}`;
    const kept = this.filters.filter((one) => one !== text);
    return this.with({ filter: kept.length < this.filters.length ? kept : [...kept, text], page: null, group: null });
  }

  /** What the routes take, with some more. */
  question(more = {}) {
    const query = new URLSearchParams();
    for (const name of QUESTION) for (const value of this.params.getAll(name)) query.append(name, value);
    for (const [name, value] of Object.entries(more)) if (value !== null && value !== undefined && value !== "") query.append(name, value);
    return query;
  }

  only(...names) {
    const query = new URLSearchParams();
    for (const name of names) for (const value of this.params.getAll(name)) query.append(name, value);
    return query;
  }

  /** The sample that is looked into, or null. */
  get sample() {
    if (!this.params.has("s.study")) return null;
    return Object.fromEntries(SAMPLE.filter((name) => this.params.has(`s.${name}`)).map((name) => [name, this.get(`s.${name}`)]));
  }

  withSample(sample) {
    return this.with(Object.fromEntries(SAMPLE.map((name) => [`s.${name}`, sample?.[name] ?? null])));
  }

  get address() {
    const text = this.params.toString();
    return text ? `/?${text}` : "/";
  }
}
