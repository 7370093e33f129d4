"use strict";
// What the sections share. Each section's own script, sections/*.js, comes after this one and names in `starts` what it does first.
const starts = [];
// What is drawn again when the filter or the colour scheme changes.
const redraws = [];
addEventListener("DOMContentLoaded", () => starts.forEach((start) => start()));
const data = JSON.parse(document.getElementById("payload").textContent);
const arms = new Map(data.arms.map((arm) => [arm.name, arm]));
let visible = new Set(arms.keys()); // by the filter
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
// Plotly reads a little markup in its texts: names of runs are shown as they are.
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function short(x) {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) if (Math.abs(x) >= size * 0.9995) return `${+(x / size).toPrecision(3)} ${unit}`;
  return String(+x.toPrecision(3));
}

function layout(x, y) {
  const axis = { gridcolor: css("--line"), linecolor: css("--line"), zeroline: false, automargin: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: css("--ink"), family: "system-ui, sans-serif", size: 12 },
    margin: { l: 55, r: 15, t: 12, b: 48 }, hovermode: "closest", showlegend: false,
    hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), font: { color: css("--ink") }, align: "left" },
    xaxis: { ...axis, title: { text: plain(x), standoff: 8 } }, yaxis: { ...axis, title: { text: plain(y), standoff: 10 } },
  };
}
// Named one by one: some of Plotly's own buttons send the data away.
const config = { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]] };

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function choose(button, draw) {
  all("button", button.parentElement).forEach((other) => other.setAttribute("aria-checked", String(other === button)));
  draw();
}

starts.push(() => matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraws.forEach((draw) => draw())));
