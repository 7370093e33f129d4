function drawConfusion() {
  const plot = document.getElementById("confusion-plot");
  if (!plot) return;
  const { classes, counts } = data.confusion, matrix = counts[document.getElementById("confusion-arm").value];
  const totals = matrix.map((row) => row.reduce((sum, count) => sum + count, 0));
  const shares = matrix.map((row, i) => row.map((count) => (totals[i] ? count / totals[i] : null)));
  const few = classes.length <= 15, places = classes.map((_, i) => i), names = classes.map(plain);
  const drawn = layout("predicted", "truth");
  const narrow = plot.clientWidth < 500, longest = narrow ? 9 : 18; // letters of a name
  const side = Math.min(plot.clientWidth, Math.max(420, Math.min(760, 9 * classes.length + 160)));
  const step = Math.ceil(classes.length / ((side - 120) / 16)), tickvals = places.filter((i) => i % step === 0); // so that names do not touch
  const axis = { tickvals, ticktext: tickvals.map((i) => (classes[i].length > longest ? plain(`${classes[i].slice(0, longest - 1)}…`) : names[i])), showgrid: false };
  Object.assign(drawn, { height: side, hovermode: "closest" });
  Object.assign(drawn.xaxis, axis, { tickangle: few && plot.clientWidth > 700 ? undefined : -90 });
  Object.assign(drawn.yaxis, axis, { autorange: "reversed" });
  Plotly.react(plot, [{ type: "heatmap", x: places, y: places, z: shares, zmin: 0, zmax: 1, colorscale: [[0, css("--card")], [1, css("--accent")]], xgap: few ? 1 : 0, ygap: few ? 1 : 0,
    text: shares.map((row) => row.map((share) => (share === null ? "" : share.toFixed(2)))), texttemplate: few ? "%{text}" : "", textfont: { size: narrow ? 8 : 11 }, showscale: !few && !narrow,
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
