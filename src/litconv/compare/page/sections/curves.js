function drawCurves() {
  const plot = document.getElementById("curves-plot");
  if (!plot) return;
  const chosen = document.querySelector("[data-curve][aria-checked=true]") ?? document.querySelector("[data-curve]");
  chosen.setAttribute("aria-checked", "true");
  const curves = data.curves[chosen.dataset.curve], traces = [];
  data.arms.filter((arm) => curves[arm.name] && visible.has(arm.name)).forEach((arm, i) => {
    const { epochs, mean, low, high } = curves[arm.name], x = epochs.map((e) => e + 1), group = arm.name, visible = i < 12 || arm.reference ? true : "legendonly";
    traces.push({ x: [...x, ...x.slice().reverse()], y: [...high, ...low.slice().reverse()], fill: "toself", fillcolor: arm.colour, opacity: 0.15, line: { width: 0 }, mode: "lines", hoverinfo: "skip",
      legendgroup: group, showlegend: false, visible });
    traces.push({ x, y: mean, mode: x.length < 3 ? "lines+markers" : "lines", line: { color: arm.colour, width: 2 }, name: plain(arm.name), legendgroup: group, visible, showlegend: i < 24 || arm.reference,
      hovertemplate: `${plain(arm.name)}<br>epoch %{x}: %{y:.4f}<extra></extra>` });
  });
  const drawn = layout("epoch", chosen.dataset.curve);
  drawn.showlegend = true;
  drawn.legend = { orientation: "h", y: 1.02, yanchor: "bottom" };
  const last = Math.max(1, ...traces.flatMap((trace) => trace.x));
  Object.assign(drawn.xaxis, { tickformat: "d", dtick: Math.max(1, Math.ceil(last / 12)), tick0: 0 });
  Plotly.react(plot, traces, drawn, config);
}

starts.push(() => {
  all("[data-curve]").forEach((button) => button.addEventListener("click", () => choose(button, drawCurves)));
  drawCurves();
  redraws.push(drawCurves);
});
