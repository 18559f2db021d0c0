"use strict";
const CONFIG = {displayModeBar: false, responsive: true};
const plots = [...document.querySelectorAll(".plot")];
const scheme = matchMedia("(prefers-color-scheme: dark)");
const drawn = new Set();

function draw(plot, dark) {
  const text = plot.parentElement.querySelector("script").textContent;
  const figure = JSON.parse(dark ? text.replace(/#[0-9a-f]{6}/g, (colour) => DARK[colour] ?? colour) : text);
  Plotly.react(plot, figure.data, figure.layout, CONFIG);
  drawn.add(plot);
}

const nearby = new IntersectionObserver((entries) => {
  for (const {isIntersecting, target} of entries) {
    if (isIntersecting) {
      nearby.unobserve(target);
      draw(target, scheme.matches);
    }
  }
}, {rootMargin: "600px"});

plots.forEach((plot) => nearby.observe(plot));
scheme.addEventListener("change", () => drawn.forEach((plot) => draw(plot, scheme.matches)));
// Prints contain all figures, in light colours.
addEventListener("beforeprint", () => plots.forEach((plot) => draw(plot, false)));
addEventListener("afterprint", () => plots.forEach((plot) => draw(plot, scheme.matches)));

// A click on a heading sorts by its column, a second click in reverse; empty cells stay last.
const number = (text) => Number(text.replace("\u2212", "-").replace(/,| %$/g, ""));
const names = new Intl.Collator(undefined, {numeric: true}).compare;

function sort(heading) {
  const table = heading.closest("table");
  const rows = [...table.tBodies[0].rows].map((row) => [row.cells[heading.cellIndex].textContent, row]);
  const numeric = rows.every(([text]) => !Number.isNaN(number(text)));
  const compare = numeric ? (a, b) => number(a) - number(b) : names;
  const order = heading.ariaSort === "ascending" ? "descending" : "ascending";
  const sign = order === "ascending" ? 1 : -1;
  rows.sort(([a], [b]) => !a - !b || sign * compare(a, b));
  for (const other of table.tHead.rows[0].cells) other.ariaSort = other === heading ? order : null;
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

for (const heading of document.querySelectorAll(".sortable thead th")) {
  const button = document.createElement("button");
  button.append(...heading.childNodes);
  button.addEventListener("click", () => sort(heading));
  heading.append(button);
}
