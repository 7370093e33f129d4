starts.push(() => {
  all(".copy").forEach((button) => button.addEventListener("click", () => navigator.clipboard.writeText(button.previousElementSibling.textContent).then(() => { button.textContent = "Copied"; })));
});
