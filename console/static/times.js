// Times arrive in UTC; people read them in the zone of their own clock.
const full = new Intl.DateTimeFormat("en-US", {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});

export function startTimes(root) {
  for (const element of root.querySelectorAll("time[data-local], time[data-ago]")) {
    const shown = full.format(new Date(element.dateTime));
    if (element.hasAttribute("data-local")) element.textContent = shown;
    element.title = shown;
  }
  // A choice of time zone that nobody made yet begins with the reader's own.
  for (const choice of root.querySelectorAll("select[data-own-zone]")) {
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if ([...choice.options].some((one) => one.value === own)) choice.value = own;
    else choice.add(new Option(own, own, true, true), 0);
    choice.removeAttribute("data-own-zone");
  }
}
