function ticks(values) {
  if (!values.length) return [];
  const least = Math.min(...values), most = Math.max(...values), low = Math.log10(least), high = Math.log10(most);
  if (high - low < 0.2) { // equal budgets: a log axis is as good as linear there
    const span = most - least || most / 10, unit = 10 ** Math.floor(Math.log10(span / 4));
    const step = [1, 2, 5, 10].map((s) => s * unit).find((s) => s >= span / 4);
    const first = Math.ceil((least - span) / step);
    return Array.from({ length: Math.ceil((3 * span) / step) }, (_, i) => (first + i) * step).filter((v) => v > 0);
  }
  const steps = high - low > 0.7 ? [1, 2, 5] : [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
  const found = [];
  for (let e = Math.floor(low) - 1; e <= Math.ceil(high); e++) for (const s of steps) found.push(s * 10 ** e);
  return found;
}

// A button's, or that of the list of places.
function chosenCost() {
  return document.getElementById("deployed-cost")?.value || document.querySelector("[data-cost][aria-checked=true]")?.dataset.cost || data.costs[0].key;
}

function drawPareto() {
  const plot = document.getElementById("pareto-plot");
  if (!plot) return;
  const key = chosenCost(), { label, metric, metric_label } = data.costs.find((cost) => cost.key === key);
  const score = (arm) => (metric === data.metric.key ? arm : arm.scores[metric]); // of the network as it runs there
  const log = document.getElementById("log-axis").checked;
  const shown = data.arms.filter((arm) => arm.costs[key] !== undefined && score(arm).mean !== null && visible.has(arm.name)).sort((a, b) => a.reference - b.reference); // drawn last: on top
  const directed = data.metric.better !== "neither", front = shown.filter(directed ? onFront(shown, key, score) : () => false).sort((a, b) => a.costs[key] - b.costs[key]);
  const traces = [{ x: front.map((arm) => arm.costs[key]), y: front.map((arm) => score(arm).mean), mode: "lines", hoverinfo: "skip",
    line: { shape: "hv", color: css("--muted"), width: 1.2 } }];
  if (document.getElementById("single-runs").checked) {
    const runScore = (run) => (metric === data.metric.key ? run.score : run.scores[metric]);
    const runs = shown.flatMap((arm) => arm.runs.map((run) => ({ arm, run })));
    traces.push({ x: runs.map(({ arm, run }) => run.costs[key] ?? arm.costs[key]), y: runs.map(({ run }) => runScore(run)), mode: "markers", type: "scatter",
      marker: { size: 5, opacity: 0.55, color: runs.map(({ arm }) => arm.colour) }, customdata: runs.map(({ arm }) => arm.name),
      text: runs.map(({ run }) => `${plain(run.name)}<br>seed ${run.seed}: ${runScore(run)?.toFixed(4)}`), hovertemplate: "%{text}<extra></extra>" });
  }
  traces.push({ x: shown.map((arm) => arm.costs[key]), y: shown.map((arm) => score(arm).mean), mode: "markers", type: "scatter", customdata: shown.map((arm) => arm.name),
    error_y: { type: "data", symmetric: true, array: shown.map((arm) => (score(arm).interval[1] === null ? 0 : score(arm).interval[1] - score(arm).mean)), thickness: 1.2, width: 3, color: css("--muted") },
    marker: { size: 11, color: shown.map((arm) => arm.colour), symbol: shown.map((arm) => arm.symbol), opacity: shown.map((arm) => (front.includes(arm) || !directed ? 1 : 0.4)), line: { width: 1, color: css("--card") } },
    text: shown.map((arm) => `<b>${plain(arm.name)}</b><br>` + Object.entries(arm.table).slice(1).filter(([, text]) => text).map(([name, text]) => `${plain(name)}: ${plain(text)}`).join("<br>")),
    hovertemplate: "%{text}<extra></extra>" });
  const drawn = layout(label, metric_label);
  if (log) Object.assign(drawn.xaxis, { type: "log", tickmode: "array", tickvals: ticks(shown.map((arm) => arm.costs[key])), minor: { showgrid: false } });
  else drawn.xaxis.tickvals = undefined;
  if (log) drawn.xaxis.ticktext = drawn.xaxis.tickvals.map(short);
  drawn.xaxis.range = padded(shown.map((arm) => arm.costs[key]), log);
  Plotly.react(plot, traces, drawn, config).then(() => writeLabels(plot, shown, front, key, score));
  plot.dataset.axis = key;
}

// As in pareto.py, among the arms that the filter leaves.
function onFront(shown, key, score) {
  const sign = data.metric.better === "higher" ? 1 : -1;
  return (arm) => !shown.some((other) => {
    const cost = other.costs[key] - arm.costs[key], gain = sign * (score(other).mean - score(arm).mean);
    return cost <= 0 && gain >= 0 && (cost < 0 || gain > 0);
  });
}

function padded(values, log) {
  if (!values.length) return undefined;
  const scaled = values.map((v) => (log ? Math.log10(v) : v)), low = Math.min(...scaled), high = Math.max(...scaled);
  const room = (high - low || Math.abs(high) * 0.1 || 1) * 0.14;
  return [low - room, high + room];
}

// Names beside their points, none on another, on a point or on the front, as in places.py; what finds no room is left to the pointer.
function writeLabels(plot, shown, front, key, score) {
  const { xaxis, yaxis } = plot._fullLayout, canvas = writeLabels.canvas ??= document.createElement("canvas").getContext("2d");
  canvas.font = "11px system-ui, sans-serif";
  const onFront = (arm) => front.includes(arm) || !front.length;
  let named = [...shown].sort((a, b) => onFront(b) - onFront(a));
  if (named.length > 24) named = named.filter((arm) => onFront(arm) || arm.reference);
  const at = (arm) => [xaxis.d2p(arm.costs[key]), yaxis.d2p(score(arm).mean)];
  const taken = shown.map(at).map(([x, y]) => [x - 8, y - 8, x + 8, y + 8]);
  const steps = front.map(at);
  steps.slice(1).forEach(([x, y], i) => taken.push([steps[i][0], steps[i][1] - 1, x, steps[i][1] + 1], [x - 1, Math.min(y, steps[i][1]), x + 1, Math.max(y, steps[i][1])]));
  const angles = [0, 8, 4, 12, 2, 6, 14, 10, 1, 7, 15, 9, 3, 5, 11, 13].map((k) => (k * Math.PI) / 8);
  const annotations = [];
  for (const arm of named) {
    const [x, y] = at(arm), w = canvas.measureText(arm.name).width + 4, h = 15;
    search: for (const far of [0, 8, 16, 26, 38, 52, 68, 86])
      for (const angle of angles) {
        const ax = Math.cos(angle) * (9 + far + w / 2), ay = -Math.sin(angle) * (9 + far + h / 2);
        const box = [x + ax - w / 2, y + ay - h / 2, x + ax + w / 2, y + ay + h / 2];
        if (box[0] < 0 || box[1] < 0 || box[2] > xaxis._length || box[3] > yaxis._length) continue;
        if (taken.some((t) => box[0] < t[2] && t[0] < box[2] && box[1] < t[3] && t[1] < box[3])) continue;
        taken.push(box);
        const log = xaxis.type === "log";
        annotations.push({ x: log ? Math.log10(arm.costs[key]) : arm.costs[key], y: score(arm).mean, ax, ay, text: plain(arm.name), showarrow: true, arrowhead: 0,
          arrowwidth: 0.7, arrowcolor: far > 8 ? css("--muted") : "rgba(0,0,0,0)", standoff: 6, font: { size: 11 }, opacity: onFront(arm) ? 1 : 0.65, borderpad: 0, captureevents: false });
        break search;
      }
  }
  return Plotly.relayout(plot, { annotations });
}

starts.push(() => {
  const places = document.getElementById("deployed-cost");
  all("[data-cost]").forEach((button) => button.addEventListener("click", () => {
    if (places) places.value = "";
    places?.classList.remove("chosen");
    choose(button, drawPareto);
  }));
  places?.addEventListener("change", () => {
    places.classList.toggle("chosen", places.value !== "");
    all("[data-cost]").forEach((button, i) => button.setAttribute("aria-checked", String(!places.value && i === 0)));
    drawPareto();
  });
  all("#single-runs, #log-axis").forEach((box) => box.addEventListener("change", drawPareto));
  drawPareto();
  document.getElementById("pareto-plot")?.on("plotly_click", ({ points }) => points[0].customdata && openArm(points[0].customdata));
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; setTimeout(drawPareto, 150); } });
  redraws.push(drawPareto);
});
