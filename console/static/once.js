// Each page brings a token in its forms: sent twice with it, a form acts once, and the second answer says what the first
// one did. Whoever comes back by the Back button has the token that the page had then, so pressed again is the same wish.
const FIELDS = "input[name=once]";

export function startOnce() {
  const kept = history.state?.once;
  const [way] = performance.getEntriesByType("navigation");
  if (kept && way?.type === "back_forward") {
    for (const one of document.querySelectorAll(FIELDS)) one.setAttribute("value", kept);
  } else {
    rememberToken(document);
  }
}

// After an action the region has forms with a token of their own.
export function rememberToken(root) {
  const once = root.querySelector(`main ${FIELDS}, [data-live-target] ${FIELDS}`)?.value ?? root.querySelector(FIELDS)?.value;
  if (once) history.replaceState({ ...history.state, once }, "");
}

// A look at what changed is no new page: its forms keep their token, so that pressed again is still the same wish.
export function keepToken(region, next) {
  const once = region.querySelector(FIELDS)?.value;
  if (!once) return;
  for (const one of next.querySelectorAll(FIELDS)) one.setAttribute("value", once);
}
