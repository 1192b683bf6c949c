// <button data-copy="id of an element" hidden>: shown where copying works, and says that it was done.
export function startCopying(root) {
  for (const button of root.querySelectorAll("button[data-copy]")) {
    if (!navigator.clipboard || button.dataset.ready) continue;
    button.before_scripts = button.outerHTML;
    button.dataset.ready = "true";
    button.hidden = false;
    const label = button.querySelector("[data-copy-label]") ?? button;
    const before = label.textContent;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.value ?? source.textContent.trim());
        label.textContent = "Copied";
        announce("Copied");
      } catch {
        getSelection().selectAllChildren(source);
        label.textContent = "Press Ctrl+C";
      }
      setTimeout(() => { label.textContent = before; }, 3000);
    });
  }
}

export function announce(text) {
  const place = document.getElementById("announcer");
  if (place) place.textContent = text;
}
