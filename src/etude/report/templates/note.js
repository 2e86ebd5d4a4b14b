"use strict";
/* Sorting: a heading's button sorts its column; empty cells stay last; the state is said by aria-sort. */
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const order = new Intl.Collator(document.documentElement.lang, { numeric: true });
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const numeric = heading.classList.contains("number");
      const before = heading.getAttribute("aria-sort");
      const falling = before ? before === "ascending" : numeric;
      const value = (row) => {
        const cell = row.cells[column];
        if (!numeric) return cell.firstChild.textContent; // without the mark that follows it
        return cell.dataset.sort === undefined ? null : Number(cell.dataset.sort);
      };
      const rows = [...table.tBodies[0].rows].sort((one, other) => {
        const [a, b] = [value(one), value(other)];
        if (a === null || b === null) return (a === null) - (b === null);
        const difference = numeric ? a - b : order.compare(a, b);
        return falling ? -difference : difference;
      });
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
      table.tBodies[0].append(...rows);
    });
  });
}

/* Curves: a switch a candidate; pointing at one dims the others. */
const switches = document.querySelector(".switches");
if (switches) {
  switches.hidden = false;
  const figure = document.getElementById("curves-figure");
  const boxes = [...switches.querySelectorAll("input")];
  const show = () => {
    for (const box of boxes) {
      for (const mark of figure.querySelectorAll(".series-" + box.value)) mark.style.display = box.checked ? "" : "none";
    }
  };
  const dim = (series) => {
    for (const box of boxes) {
      const pale = series !== null && box.value !== series;
      for (const mark of figure.querySelectorAll(".series-" + box.value)) mark.classList.toggle("pale", pale);
    }
  };
  switches.addEventListener("change", show);
  for (const label of switches.querySelectorAll("label")) {
    const chosen = () => (label.querySelector("input").checked ? label.dataset.series : null);
    label.addEventListener("pointerenter", () => dim(chosen()));
    label.addEventListener("pointerleave", () => dim(null));
    label.addEventListener("focusin", () => dim(label.querySelector(":focus-visible") ? chosen() : null));
    label.addEventListener("focusout", () => dim(null));
  }
  for (const button of switches.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      for (const box of boxes) box.checked = button.dataset.all === "1";
      show();
    });
  }
  show();
}

/* Paper shows all that is folded, and folds it again. */
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not([open])")) {
    part.dataset.folded = "";
    part.open = true;
  }
});
addEventListener("afterprint", () => {
  for (const part of document.querySelectorAll("details[data-folded]")) {
    part.open = false;
    delete part.dataset.folded;
  }
});
