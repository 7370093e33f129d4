function drawConfusion() {
  const plot = document.getElementById("confusion-plot");
  if (!plot) return;
  const { classes, counts } = data.confusion, matrix = counts[document.getElementById("confusion-arm").value];
  const totals = matrix.map((row) => row.reduce((sum, count) => sum + count, 0));
  const shares = matrix.map((row, i) => row.map((count) => (totals[i] ? count / totals[i] : null)));
  const few = classes.length <= 15, places = classes.map((_, i) => i), names = classes.map(plain);
  const drawn = layout("predicted", "truth");
  const side = Math.min(plot.clientWidth, Math.max(420, 9 * classes.length + 160));
  const axis = { tickvals: places, ticktext: names.map((name) => (name.length > 18 ? `${name.slice(0, 17)}…` : name)), showgrid: false };
  if (classes.length > 40) Object.assign(axis, { tickvals: places.filter((i) => i % Math.ceil(classes.length / 40) === 0), ticktext: undefined });
  if (!axis.ticktext) axis.ticktext = axis.tickvals.map((i) => names[i]);
  Object.assign(drawn, { height: side, hovermode: "closest" });
  Object.assign(drawn.xaxis, axis, { tickangle: few && plot.clientWidth > 700 ? undefined : -90 });
  Object.assign(drawn.yaxis, axis, { autorange: "reversed" });
  Plotly.react(plot, [{ type: "heatmap", x: places, y: places, z: shares, zmin: 0, zmax: 1, colorscale: [[0, css("--card")], [1, css("--accent")]], xgap: few ? 1 : 0, ygap: few ? 1 : 0,
    text: shares.map((row) => row.map((share) => (share === null ? "" : share.toFixed(2)))), texttemplate: few ? "%{text}" : "", textfont: { size: plot.clientWidth < 500 ? 8 : 11 }, showscale: !few,
    customdata: matrix.map((row, i) => row.map((count, j) => `${names[i]} taken for ${names[j]}<br>${count} of ${totals[i]}`)), hovertemplate: "%{customdata}<extra></extra>" }], drawn, config);
  const mistakes = shares.flatMap((row, i) => row.map((share, j) => ({ share, i, j }))).filter(({ share, i, j }) => i !== j && share > 0).sort((a, b) => b.share - a.share).slice(0, 5);
  document.getElementById("confusion-worst").textContent = mistakes.length
    ? `Most often: ${mistakes.map(({ share, i, j }) => `${classes[i]} taken for ${classes[j]} (${Math.round(100 * share)} %)`).join(", ")}.` : "No image of these was taken for another class.";
}

starts.push(() => {
  document.getElementById("confusion-arm")?.addEventListener("change", drawConfusion);
  drawConfusion();
  redraws.push(drawConfusion);
});
