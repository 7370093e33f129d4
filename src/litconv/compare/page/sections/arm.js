function openArm(name) {
  const arm = arms.get(name), dialog = document.getElementById("arm");
  document.getElementById("arm-name").textContent = arm.name;
  document.getElementById("arm-config").textContent = arm.config;
  document.getElementById("arm-facts").replaceChildren(...Object.entries(arm.table).slice(1).filter(([, text]) => text).flatMap(([key, text]) => [element("dt", key), element("dd", text)]));
  document.getElementById("arm-runs").replaceChildren(...arm.runs.map((run) => {
    const link = element("a", run.folder), row = document.createElement("tr");
    link.href = run.link.split("/").map(encodeURIComponent).join("/") + "/";
    const cell = document.createElement("td");
    cell.append(link);
    row.append(element("td", run.seed), element("td", run.score.toFixed(4)), cell);
    return row;
  }));
  dialog.showModal();
}

