// One panel for each place in which the arms were measured: latency over MACs, all on the same axes.
function drawDeployed() {
  const chosen = document.querySelector("[data-batch][aria-checked=true]");
  if (!chosen) return;
  all("[data-orders]").forEach((box) => { box.hidden = box.dataset.orders !== chosen.dataset.batch; });
  const plot = document.querySelector(`[data-plot="${chosen.dataset.batch}"]`), { x, panels } = data.deployed[chosen.dataset.batch];
  const across = Math.max(1, Math.min(panels.length, Math.floor(plot.clientWidth / 270))), down = Math.ceil(panels.length / across);
  const drawn = layout("", ""), xs = [], ys = [], traces = [], titles = [];
  const { xaxis, yaxis } = drawn;
  panels.forEach(({ label, values }, i) => {
    const shown = data.arms.filter((arm) => values[arm.name] && x.values[arm.name] && visible.has(arm.name)).sort((a, b) => a.reference - b.reference);
    const n = i ? i + 1 : "", row = Math.floor(i / across), column = i % across, gapX = 0.05, gapY = 0.24 / down;
    const width = (1 - gapX * (across - 1)) / across, height = (1 - gapY * (down - 1)) / down, top = 1 - row * (height + gapY);
    const at = shown.map((arm) => x.values[arm.name]), milliseconds = shown.map((arm) => values[arm.name][0]);
    xs.push(...at);
    const known = shown.map((arm) => values[arm.name][1] !== null && values[arm.name][2] !== null);
    ys.push(...milliseconds, ...shown.flatMap((arm, j) => (known[j] ? values[arm.name].slice(1) : [])));
    traces.push({ x: at, y: milliseconds, xaxis: `x${n}`, yaxis: `y${n}`, mode: "markers", type: "scatter", customdata: shown.map((arm) => arm.name),
      error_y: { type: "data", symmetric: false, thickness: 1.2, width: 3, color: css("--muted"),
        array: shown.map((arm, j) => (known[j] ? values[arm.name][2] - milliseconds[j] : 0)), arrayminus: shown.map((arm, j) => (known[j] ? milliseconds[j] - values[arm.name][1] : 0)) },
      marker: { size: 10, color: shown.map((arm) => arm.colour), symbol: shown.map((arm) => arm.symbol), line: { width: 1, color: css("--card") } },
      text: shown.map((arm, j) => `<b>${plain(arm.name)}</b><br>${plain(label)}: ${short(milliseconds[j])} ms<br>${plain(x.label)}: ${short(at[j])}`), hovertemplate: "%{text}<extra></extra>" });
    drawn[`xaxis${n}`] = { ...xaxis, type: "log", anchor: `y${n}`, domain: [column * (width + gapX), column * (width + gapX) + width], title: { text: row === down - 1 || i + across >= panels.length ? plain(x.label) : "", standoff: 6 } };
    drawn[`yaxis${n}`] = { ...yaxis, type: "log", anchor: `x${n}`, domain: [top - height, top], showticklabels: column === 0, title: { text: column === 0 ? "ms" : "", standoff: 6 } };
    titles.push({ text: `<b>${plain(label)}</b>`, xref: "paper", yref: "paper", x: column * (width + gapX) + width / 2, y: top, xanchor: "center", yanchor: "bottom", showarrow: false, font: { size: 12 } });
  });
  panels.forEach((_, i) => {
    const n = i ? i + 1 : "", xTicks = ticks(xs), yTicks = ticks(ys);
    Object.assign(drawn[`xaxis${n}`], { range: padded(xs, true), tickmode: "array", tickvals: xTicks, ticktext: xTicks.map(short) });
    Object.assign(drawn[`yaxis${n}`], { range: padded(ys, true), tickmode: "array", tickvals: yTicks, ticktext: yTicks.map(short) });
  });
  Object.assign(drawn, { annotations: titles, height: 90 + 230 * down, margin: { l: 55, r: 15, t: 28, b: 48 } });
  Plotly.react(plot, traces, drawn, config);
  if (!plot.dataset.clickable) plot.on("plotly_click", ({ points }) => openArm(points[0].customdata));
  plot.dataset.clickable = true;
}

starts.push(() => {
  all("[data-batch]").forEach((button) => button.addEventListener("click", () => choose(button, drawDeployed)));
  drawDeployed();
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; setTimeout(drawDeployed, 150); } });
  redraws.push(drawDeployed);
});
