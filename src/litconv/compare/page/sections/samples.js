function showLayer(layer) {
  document.body.dataset.layer = layer;
  all("[data-layer][role=radio]").forEach((button) => button.setAttribute("aria-checked", String(button.dataset.layer === layer)));
}

// A mask beside the truth; an image that was classified beside what all say of it.
function enlarge(button) {
  const cell = button.closest("td, th"), row = cell.parentElement, headings = all(".samples thead th").map((th) => th.textContent);
  const place = [...row.cells].indexOf(cell), withMasks = row.cells[1].querySelector(".pair") !== null;
  const places = !withMasks ? [0] : place > 1 ? [1, place] : [place];
  const pictures = document.getElementById("sample-pictures");
  pictures.style.cssText = row.style.cssText;
  pictures.className = row.className;
  pictures.replaceChildren(...places.map((at) => {
    const figure = document.createElement("figure"), pair = row.cells[at].querySelector(".pair").cloneNode(true);
    const frame = document.createElement("div");
    frame.className = "pair";
    frame.append(...pair.childNodes);
    figure.append(frame, element("figcaption", [headings[at], row.cells[at].querySelector("small")?.textContent].filter((text) => text && at > 0).join(": ")));
    return figure;
  }));
  if (!withMasks) {
    const list = document.createElement("dl");
    list.append(...[...row.cells].slice(1).flatMap((one, i) => [element("dt", headings[i + 1]), element("dd", [...one.childNodes].map((node) => node.textContent.trim()).filter(Boolean).join(" "))]));
    pictures.append(list);
  }
  document.getElementById("sample-name").textContent = row.dataset.why;
  document.getElementById("sample").showModal();
}

starts.push(() => {
  all("[data-layer][role=radio]").forEach((button) => button.addEventListener("click", () => showLayer(button.dataset.layer)));
  all(".samples .pair").forEach((button) => button.addEventListener("click", () => enlarge(button)));
  showLayer("overlay");
});
