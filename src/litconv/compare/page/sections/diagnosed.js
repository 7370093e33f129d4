starts.push(() => all("[data-inside]").forEach((button) => button.addEventListener("click", () => choose(button, () =>
  all("[data-pictures]").forEach((box) => { box.hidden = box.dataset.pictures !== button.dataset.inside; })))));
