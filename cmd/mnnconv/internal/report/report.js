"use strict";
// Tables are sorted by the button in each heading: by size, where cells begin with
// numbers, and else by text. A second press turns the order round.
const units = {kB: 1e3, MB: 1e6, GB: 1e9, ms: 1e-3, "µs": 1e-6};
const value = (cell) => {
  const text = cell ? cell.textContent : "";
  const m = /^-?[\d.]+(?:e[+-]?\d+)?/i.exec(text);
  if (!m) return {text, number: NaN};
  const unit = /^\s*(\S+)/.exec(text.slice(m[0].length));
  return {text, number: Number(m[0]) * ((unit && units[unit[1]]) || 1)};
};
const order = (a, b) => {
  if (isNaN(a.number) !== isNaN(b.number)) return isNaN(a.number) ? 1 : -1;
  return a.number - b.number || a.text.localeCompare(b.text);
};
const byText = (a, b) => a.text.localeCompare(b.text);
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    if (!button.textContent) button.setAttribute("aria-label", "verdict");
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const h of heads) h.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => ({row, key: value(row.cells[column])}));
      const numbers = rows.some((r) => !isNaN(r.key.number));
      rows.sort((a, b) => (up ? 1 : -1) * (numbers ? order : byText)(a.key, b.key));
      body.append(...rows.map((r) => r.row));
    });
  });
}
// A box of the drawing that has the focus shows its edges.
for (const drawing of document.querySelectorAll("svg.drawing")) {
  const show = (event) => {
    const box = event.target.closest("[data-box]");
    for (const edge of drawing.querySelectorAll(".edge")) {
      const touches = box && (edge.dataset.from === box.dataset.box || edge.dataset.to === box.dataset.box);
      edge.classList.toggle("hot", Boolean(touches));
    }
  };
  drawing.addEventListener("focusin", show);
  drawing.addEventListener("mouseover", show);
  drawing.addEventListener("focusout", () => show({target: drawing}));
}
addEventListener("beforeprint", () => {
  for (const d of document.querySelectorAll("details")) d.open = true;
});
