// Sets the colours before the page is drawn: the reader's choice, else what the system asks for.
"use strict";
(() => {
  const asked = () => localStorage.getItem("insignia-theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => { document.documentElement.dataset.theme = asked() ?? (system.matches ? "dark" : "light"); };
  system.addEventListener("change", apply);
  apply();
  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      localStorage.setItem("insignia-theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
      apply();
    });
  });
})();
