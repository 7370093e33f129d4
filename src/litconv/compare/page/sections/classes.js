// Where each class has a row of its own an arm is a column, which the filter hides as a whole.
function hideColumns() {
  all(".sortable").forEach((table) => all("thead th", table).forEach((th, column) => {
    if (th.dataset.arm !== undefined) all("tbody tr", table).forEach((row) => { row.children[column].hidden = th.hidden; });
  }));
}

starts.push(() => {
  all("[data-kind]").forEach((button) => button.addEventListener("click", () => choose(button, () =>
    all("[data-figures]").forEach((box) => { box.hidden = box.dataset.figures !== button.dataset.kind; }))));
  redraws.push(hideColumns);
});
