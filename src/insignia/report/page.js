"use strict";
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, body = head.closest("table").tBodies[0];
    const column = head.cellIndex, isNumber = head.classList.contains("number");
    // numbers start with the largest, text with A; a second click turns it round
    const before = head.getAttribute("aria-sort");
    const down = before ? before === "ascending" : isNumber;
    const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const compare = (a, b) => {
      const x = value(a), y = value(b);
      if (!isNumber) return x.localeCompare(y, undefined, { numeric: true }) * (down ? -1 : 1);
      if (x === "" || y === "") return (x === "") - (y === "");
      return (Number(x) - Number(y)) * (down ? -1 : 1);
    };
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...[...body.rows].sort(compare));
  });
}
