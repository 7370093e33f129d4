function drawTuning() {
  const plot = document.getElementById("tuning-plot");
  if (!plot) return;
  const { key, label, log, curves } = data.tuning, traces = [], tried = new Set();
  data.arms.filter((arm) => curves[arm.name] && visible.has(arm.name)).forEach((arm) => {
    const { x, mean, low, high, chosen } = curves[arm.name], group = arm.name;
    x.forEach((value) => tried.add(value));
    traces.push({ x: [...x, ...x.slice().reverse()], y: [...high, ...low.slice().reverse()], fill: "toself", fillcolor: arm.colour, opacity: 0.15, line: { width: 0 }, mode: "lines", hoverinfo: "skip",
      legendgroup: group, showlegend: false });
    traces.push({ x, y: mean, mode: "lines+markers", line: { color: arm.colour, width: 2 }, marker: { size: 5 }, name: plain(arm.name), legendgroup: group, customdata: x.map((_, i) => [low[i], high[i]]),
      hovertemplate: `${plain(arm.name)}<br>${plain(key)}=%{x}: %{y:.4f}<br>%{customdata[0]:.4f} to %{customdata[1]:.4f}<extra></extra>` });
    traces.push({ x: [x[chosen]], y: [mean[chosen]], mode: "markers", marker: { size: 14, symbol: "circle-open", color: arm.colour, line: { width: 2.5 } }, legendgroup: group, showlegend: false, hoverinfo: "skip" });
  });
  const drawn = layout(key, label), ticks = [...tried].sort((a, b) => a - b);
  drawn.showlegend = true;
  drawn.legend = { orientation: "h", y: 1.02, yanchor: "bottom" };
  Object.assign(drawn.xaxis, { type: log ? "log" : "linear", tickmode: "array", tickvals: ticks, ticktext: ticks.map(String) });
  Plotly.react(plot, traces, drawn, config);
}

starts.push(() => {
  drawTuning();
  redraws.push(drawTuning);
});
