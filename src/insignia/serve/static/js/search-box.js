// The one search box: names of bundled signatures and gene names are completed; text and files become the question.
import { get, atlasUrl, sendFile } from "./api.js";
import { byId, fill, h, plural } from "./dom.js";

const BETWEEN = /[\s,;|"'`()[\]{}]+/;

/** What a text asks for: a bundled signature, or genes. */
export function read(text, signatures) {
  const clean = text.trim();
  const named = signatures.find((one) => one.name.toLowerCase() === clean.toLowerCase());
  if (named) return { signature: named.name, genes: null, name: null };
  return { signature: null, genes: clean.split(BETWEEN).filter(Boolean).join(" ").replaceAll("\u2212", "-") || null, name: null };
}

export class SearchBox {
  /** `onSearch` gets what changes in the view; `atlas` gives the name of the atlas that completes genes. */
  constructor({ signatures, atlas, onSearch, onProblem }) {
    Object.assign(this, { signatures, atlas, onSearch, onProblem, options: [], active: -1 });
    this.box = byId("query");
    this.list = byId("suggestions");
    this.box.addEventListener("input", () => { this.grow(); this.suggest(); });
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("blur", () => setTimeout(() => this.close(), 150));
    byId("search").addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    byId("file").addEventListener("change", (event) => this.upload(event.target));
  }

  show(view) {
    this.box.value = view.get("signature") || view.get("genes");
    this.name = view.get("name") || null;
    this.shown = this.box.value;
    this.grow();
  }

  grow() {
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight + 2, 144)}px`;
  }

  async submit() {
    this.close();
    const asked = read(this.box.value, this.signatures);
    if (!asked.signature && !asked.genes) {
      this.onProblem({ title: "Nothing to search", message: "Name a bundled signature such as MS1, or paste genes, e.g. S100A8, S100A12, RETN." });
      this.box.focus();
      return;
    }
    // genes of an uploaded set keep its name until they are changed
    if (asked.genes && this.box.value === this.shown) asked.name = this.name;
    if (asked.genes && !BETWEEN.test(asked.genes) && !(await this.isGene(asked.genes))) {
      // one word that is no gene is taken for a name, so that the answer says which names there are
      Object.assign(asked, { signature: asked.genes, genes: null });
    }
    this.onSearch(asked);
  }

  async isGene(word) {
    const gene = word.replace(/^[+-]|[+-]$|[:=].*$/g, "");
    if (/^ENS/i.test(gene)) return true;
    const found = await get("complete", atlasUrl(this.atlas(), "genes", new URLSearchParams({ prefix: gene, limit: "1" })));
    return found?.genes[0]?.toUpperCase() === gene.toUpperCase();
  }

  word() {
    const before = this.box.value.slice(0, this.box.selectionStart);
    return before.split(BETWEEN).at(-1).replace(/^[+-]/, "");
  }

  async suggest() {
    const word = this.word(), whole = this.box.value.trim();
    if (!word || /[:=]/.test(word)) return this.close();
    const named = word === whole
      ? this.signatures.filter((one) => one.name.toLowerCase().startsWith(word.toLowerCase()))
        .map((one) => ({ text: one.name, note: `${plural(one.genes, "gene")}, bundled`, whole: true }))
      : [];
    const found = await get("complete", atlasUrl(this.atlas(), "genes", new URLSearchParams({ prefix: word, limit: "10" }))).catch(() => null);
    if (!found) return;
    this.options = [...named, ...found.genes.map((gene) => ({ text: gene, note: "gene" }))];
    this.active = -1;
    fill(this.list, this.options.map((option, i) => h("li", {
      id: `suggestion-${i}`, role: "option", "aria-selected": "false",
      on: { mousedown: (event) => { event.preventDefault(); this.take(i); } },
    }, option.text, h("span", { class: "muted small" }, option.note))));
    this.toggle(this.options.length > 0);
  }

  toggle(isOpen) {
    this.list.hidden = !isOpen;
    this.box.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) this.box.removeAttribute("aria-activedescendant");
  }

  close() {
    this.active = -1;
    this.toggle(false);
  }

  move(step) {
    const n = this.options.length;
    this.active = this.active < 0 ? (step > 0 ? 0 : n - 1) : (this.active + step + n) % n;
    [...this.list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === this.active)));
    this.list.children[this.active].scrollIntoView({ block: "nearest" });
    this.box.setAttribute("aria-activedescendant", `suggestion-${this.active}`);
  }

  take(i) {
    const option = this.options[i], end = this.box.selectionStart, word = this.word();
    if (option.whole) this.box.value = option.text;
    else {
      const start = end - word.length;
      this.box.value = `${this.box.value.slice(0, start)}${option.text} ${this.box.value.slice(end).trimStart()}`;
      this.box.selectionStart = this.box.selectionEnd = start + option.text.length + 1;
    }
    this.close();
    this.grow();
    this.box.focus();
    if (option.whole) this.submit();
  }

  key(event) {
    const isOpen = !this.list.hidden;
    if (isOpen && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      this.move(event.key === "ArrowDown" ? 1 : -1);
    } else if (isOpen && (event.key === "Enter" || event.key === "Tab") && this.active >= 0) {
      event.preventDefault();
      this.take(this.active);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      this.close();
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.submit();
    }
  }

  async upload(input) {
    const [file] = input.files;
    input.value = "";
    if (!file) return;
    try {
      const { sets } = await sendFile(file);
      if (sets.length === 1) this.choose(sets[0]);
      else this.offer(file.name, sets);
    } catch (error) {
      this.onProblem(error);
    }
  }

  choose(set) {
    fill(byId("sets"));
    this.onSearch({ signature: null, genes: set.genes, name: set.name });
  }

  offer(file, sets) {
    const choice = h("select", { "aria-label": "Gene set to search" }, sets.map((set, i) => h("option", { value: String(i) }, `${set.name} (${plural(set.size, "gene")})`)));
    const go = h("button", { type: "button", class: "primary", on: { click: () => this.choose(sets[Number(choice.value)]) } }, "Search this set");
    fill(byId("sets"), h("div", { class: "card" }, h("p", {}, `${file} holds ${plural(sets.length, "gene set")}.`), h("div", { class: "pager" }, choice, go)));
    choice.focus();
  }
}
