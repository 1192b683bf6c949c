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

const KEPT = "qbd selection";
const KEPT_MS = 60 * 60 * 1000;
const RESTORED = "Your selection from before you signed in is back. Nothing was done with it.";

// The session ended: what is ticked waits in this browser for an hour.
export function keepSelection(region) {
  const chosen = [...region.querySelectorAll("input[type=checkbox][name=chosen]:checked")].map((one) => one.value);
  if (!chosen.length) return;
  localStorage.setItem(KEPT, JSON.stringify({ path: location.pathname + location.search, chosen, until: Date.now() + KEPT_MS }));
}

// Ticks it again on the same page; pressing a button stays with the person.
export function restoreSelection() {
  let kept = null;
  try {
    kept = JSON.parse(localStorage.getItem(KEPT));
  } catch {
    localStorage.removeItem(KEPT);
  }
  if (!kept || (kept.until > Date.now() && kept.path !== location.pathname + location.search)) return;
  localStorage.removeItem(KEPT);
  if (kept.until <= Date.now()) return;
  const wanted = new Set(kept.chosen);
  const boxes = [...document.querySelectorAll("input[type=checkbox][name=chosen]")].filter((one) => wanted.has(one.value));
  for (const one of boxes) one.checked = true;
  if (!boxes.length) return;
  boxes[0].form.dispatchEvent(new Event("change"));
  const place = document.querySelector("[data-stays]");
  if (!place) return;
  const said = document.createElement("div");
  said.className = "notice notice--info";
  said.setAttribute("role", "status");
  said.append(document.createElement("p"));
  said.firstChild.textContent = RESTORED;
  place.replaceChildren(said);
}
