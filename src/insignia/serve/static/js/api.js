// Asking the server: JSON, problems as errors, one question of a kind at a time, and a bar for what takes longer.
import { byId } from "./dom.js";

/** What the server answers instead of data; its text is that of the command line. */
export class Problem extends Error {
  constructor(found) {
    super(found.detail);
    this.title = found.title;
    this.code = found.code;
    this.status = found.status;
  }
}

const running = new Map();
let open = 0;

function busy(step) {
  open += step;
  // answers within a sixth of a second need no bar
  if (open) setTimeout(() => { if (open) byId("progress").hidden = false; }, 160);
  else byId("progress").hidden = true;
  document.body.setAttribute("aria-busy", String(open > 0));
}

async function ask(url, options) {
  busy(1);
  try {
    const response = await fetch(url, { credentials: "same-origin", ...options });
    if (response.ok) return await response.json();
    const found = await response.json().catch(() => null);
    throw new Problem(found ?? { title: "The explorer does not answer", detail: `Status ${response.status}.`, status: response.status });
  } catch (error) {
    if (error instanceof TypeError) {
      throw new Problem({ title: "The explorer does not answer", detail: "Is `insignia serve` still running? Start it again, then reload this page." });
    }
    throw error;
  } finally {
    busy(-1);
  }
}

/** Ask; a newer question of the same kind ends an older one, whose caller gets null. */
export async function get(kind, url) {
  running.get(kind)?.abort();
  const control = new AbortController();
  running.set(kind, control);
  try {
    const found = await ask(url, { signal: control.signal });
    return control.signal.aborted ? null : found;
  } catch (error) {
    if (error.name === "AbortError" || control.signal.aborted) return null;
    throw error;
  }
}

export const atlasUrl = (atlas, path, query) => `/api/atlases/${encodeURIComponent(atlas)}/${path}?${query}`;
export const sendFile = async (file) =>
  ask(`/api/signatures?file_name=${encodeURIComponent(file.name)}`, { method: "POST", body: file, headers: { "Content-Type": "text/plain" } });
