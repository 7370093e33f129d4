// The words of the filter are looked for in an arm's row of the table: in its name, its verdict, its figures.
function filterArms() {
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/), rows = all(".arms tbody tr");
  visible = new Set(rows.filter((row) => words.every((word) => row.textContent.toLowerCase().includes(word))).map((row) => row.dataset.arm));
  all("[data-arm]").forEach((part) => { part.hidden = !visible.has(part.dataset.arm); });
  document.getElementById("shown").textContent = `${visible.size} of ${rows.length} arms`;
  redraws.forEach((draw) => draw());
}

starts.push(() => document.getElementById("filter")?.addEventListener("input", filterArms));
