function sortBy(heading) {
  const row = heading.parentElement, column = [...row.children].indexOf(heading), body = row.closest("table").tBodies[0];
  const direction = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  all("th", row).forEach((th) => th.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", direction);
  const value = (tr) => tr.children[column].dataset.value, sign = direction === "ascending" ? 1 : -1;
  const compare = (a, b) => (a === "" || b === "" ? (a === "") - (b === "") : sign * (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b)); // what is missing comes last
  body.append(...[...body.rows].sort((a, b) => compare(value(a), value(b))));
}

starts.push(() => {
  all(".arms thead th, .sortable thead th").forEach((th) => th.firstElementChild.addEventListener("click", () => sortBy(th)));
  all(".open").forEach((button) => button.addEventListener("click", () => openArm(button.closest("tr").dataset.arm)));
});
