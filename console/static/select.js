// <input type=checkbox data-select-all>: selects every named checkbox of its form; [data-selected-count] says how many.
export function startSelecting(root) {
  for (const all of root.querySelectorAll("[data-select-all]")) {
    if (all.dataset.ready) continue;
    all.dataset.ready = "true";
    const form = all.form;
    const boxes = () => [...form.querySelectorAll("input[type=checkbox][name]")];
    const count = form.querySelector("[data-selected-count]");
    if (count) count.dataset.keep = "true";
    const tell = () => {
      const chosen = boxes().filter((one) => one.checked).length;
      all.checked = chosen > 0 && chosen === boxes().length;
      all.indeterminate = chosen > 0 && !all.checked;
      if (count) count.textContent = chosen ? `${chosen} selected` : "";
    };
    all.addEventListener("change", () => {
      for (const one of boxes()) one.checked = all.checked;
      tell();
    });
    form.addEventListener("change", tell);
    form.addEventListener("reset", () => setTimeout(tell));
    tell();
  }
}
