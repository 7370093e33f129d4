// An arm that is pointed at is lit in every column.
starts.push(() => all(".columns li").forEach((item) => ["mouseenter", "mouseleave"].forEach((kind) => item.addEventListener(kind, () =>
  all(".columns li").filter((other) => other.dataset.arm === item.dataset.arm).forEach((other) => other.classList.toggle("lit", kind === "mouseenter"))))));
