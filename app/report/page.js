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
// Paper is light, and has all of them.
addEventListener("beforeprint", () => plots.forEach((plot) => draw(plot, false)));
addEventListener("afterprint", () => plots.forEach((plot) => draw(plot, scheme.matches)));
