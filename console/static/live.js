// A region <div id data-live="/address" data-every="5"> asks for its own content again and again; a form with
// data-live-target="id of a region" is sent without leaving the page and its answer becomes the region's content.
// A region's answer may send the header X-Go: then the browser goes there. data-announce marks what is read out.
import { announce } from "./copy.js";
import { keepToken, rememberToken } from "./once.js";
import { keepSelection } from "./select.js";

const SLOWEST_S = 60;
const SLOW_MS = 8_000;
const GIVE_UP_MS = 120_000;
const SLOW = "This takes longer than usual. Please wait: it was sent once, and it is not sent again.";
const NOT_READ = "That could not be loaded because the connection broke. Check the network and try again.";
const BROKEN = "The connection broke before an answer came, so this may or may not have been done. It was not sent again. ";
const LOOK = "Your selection is kept. This page updates by itself: check here what happened before you press the button again.";
const RELOAD = "Reload the page to see what happened before you press the button again.";

export function startLive(root, started) {
  for (const region of root.querySelectorAll("[data-live]")) watch(region, started);
  for (const form of root.querySelectorAll("form[data-live-target]")) enhance(form, started);
}

export async function refresh(region, started) {
  const answer = await fetch(region.dataset.live, { headers: { "X-Live": "1" }, cache: "no-store" });
  await take(region, answer, started, { isRefresh: true });
  return answer.ok;
}

function watch(region, started) {
  if (region.dataset.watched) return;
  region.dataset.watched = "true";
  const every = Number(region.dataset.every || 5);
  let failures = 0;
  let seenAt = new Date();
  const again = (seconds) => setTimeout(look, seconds * 1000);
  async function look() {
    if (!region.isConnected || !region.hasAttribute("data-live")) return;
    if (document.hidden) {
      document.addEventListener("visibilitychange", look, { once: true });
      return;
    }
    try {
      failures = (await refresh(region, started)) ? 0 : failures + 1;
    } catch {
      failures += 1;
    }
    if (!failures) seenAt = new Date();
    region.toggleAttribute("data-stale", failures > 0);
    sayOld(region, failures > 0 && region.hasAttribute("data-live"), seenAt);
    again(Math.min(every * 2 ** failures, SLOWEST_S));
  }
  again(every);
}

// Above what was true a while ago stands since when nobody answers.
function sayOld(region, isOld, seenAt) {
  const before = region.previousElementSibling?.matches("[data-old]") ? region.previousElementSibling : null;
  if (!isOld) {
    before?.remove();
    return;
  }
  if (before) return;
  const said = document.createElement("div");
  said.dataset.old = "true";
  said.className = "notice notice--warn";
  said.setAttribute("role", "alert");
  said.append(document.createElement("p"));
  const at = seenAt.toLocaleTimeString("en-US", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  said.firstChild.textContent = `There has been no answer since ${at}. What stands below was true then. The page goes on by itself when the connection is back.`;
  region.before(said);
}

async function take(region, answer, started, options) {
  const address = answer.headers.get("X-Go");
  if (address) {
    location.assign(address);
    return;
  }
  // Whatever stands between us and the server, such as a sign-in page of a hotel, answers in pages that are not ours.
  if (!answer.headers.has("X-Part")) throw new Error("not an answer of the console");
  const text = await answer.text();
  if (answer.ok) {
    replace(region, text, started, options);
    if (!options?.isRefresh) rememberToken(region);
    return;
  }
  // The content stays true as of its time; what went wrong stands above it.
  region.querySelector(":scope > [data-live-problem]")?.remove();
  const problem = document.createElement("div");
  problem.dataset.liveProblem = "true";
  problem.innerHTML = text;
  region.prepend(problem);
  // A session that ended asks no more; what was selected is there again after signing in.
  if (answer.status === 401) region.removeAttribute("data-live");
  if (answer.status === 401 || answer.status === 403) keepSelection(region);
}

// Changes only what differs, element by element: focus, selection, scroll and open menus of the rest stay.
export function replace(region, text, started, { isRefresh = false } = {}) {
  const next = region.cloneNode(false);
  next.innerHTML = text;
  // What an action answered stays until the next one: nobody reads a refusal in the seconds between two looks.
  if (isRefresh) keepToken(region, next);
  const told = isRefresh && region.querySelector("[data-stays]");
  if (told) next.querySelector("[data-stays]")?.replaceChildren(...told.cloneNode(true).childNodes);
  region.querySelector(":scope > [data-live-problem]")?.remove();
  const changed = [];
  morph(region, next, changed);
  if (!changed.length) return;
  started(region);
  const said = [...region.querySelectorAll("[data-announce]")].filter((one) => changed.some((c) => one.contains(c) || c.contains(one)));
  if (said.length) announce(said.map((one) => one.textContent.trim().replace(/\s+/g, " ")).join(". "));
}

// Whoever is moved loses the focus, so what stays is left where it stands, and what does not stay makes room for it.
function morph(old, next, changed) {
  const after = [...next.childNodes];
  const wantedIds = new Set(after.map((one) => one.id).filter(Boolean));
  const keyed = new Map([...old.children].filter((one) => one.id).map((one) => [one.id, one]));
  let at = old.firstChild;
  const drop = () => {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
    if (!isBlank(gone)) changed.push(old);
  };
  for (const wanted of after) {
    if (isBlank(wanted)) {
      if (at && isBlank(at)) at = at.nextSibling;
      else old.insertBefore(wanted.cloneNode(true), at);
      continue;
    }
    while (at && (isBlank(at) || (at.id && !wantedIds.has(at.id)))) {
      if (isBlank(at)) at = at.nextSibling;
      else drop();
    }
    let have = at?.id ? null : at;
    if (wanted.id) {
      have = keyed.get(wanted.id);
      if (have && standsFreely(at, have, wantedIds)) while (at !== have) drop();
    }
    if (have && same(have, wanted)) {
      if (have !== at) old.insertBefore(have, at);
      else at = at.nextSibling;
      update(have, wanted, changed);
    } else {
      const fresh = wanted.cloneNode(true);
      old.insertBefore(fresh, at);
      changed.push(fresh);
    }
  }
  while (at) drop();
}

// Between two siblings stands nothing that has to stay.
function standsFreely(at, have, wantedIds) {
  for (let one = at; one !== have; one = one.nextSibling) {
    if (!one || wantedIds.has(one.id)) return false;
  }
  return true;
}

function isBlank(node) {
  return node.nodeType === Node.TEXT_NODE && !node.nodeValue.trim();
}

function same(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && (one.id || "") === (other.id || "");
}

function update(have, wanted, changed) {
  if (have.nodeType !== Node.ELEMENT_NODE) {
    if (have.nodeValue !== wanted.nodeValue) {
      have.nodeValue = wanted.nodeValue;
      changed.push(have.parentElement);
    }
    return;
  }
  if (have.before_scripts !== undefined) {
    // Made livelier by a script: left alone while it would come out the same, or while somebody is in it.
    if (have.before_scripts === wanted.outerHTML || have.contains(document.activeElement)) return;
    const fresh = wanted.cloneNode(true);
    have.replaceWith(fresh);
    changed.push(fresh);
    return;
  }
  // What somebody is filling in stays theirs until it is sent.
  if (have.matches("[data-keep]") || (have.matches("input, select, textarea") && (have === document.activeElement || isTouched(have)))) return;
  if (have.isEqualNode(wanted)) return;
  if (have.nodeName === "TIME" && have.dateTime === wanted.dateTime && have.hasAttribute("data-local")) return;
  for (const { name, value } of [...wanted.attributes]) {
    if (name === "open" && have.nodeName === "DETAILS") continue;
    if (have.getAttribute(name) !== value && !isOurs(have, name)) {
      have.setAttribute(name, value);
      changed.push(have);
    }
  }
  for (const { name } of [...have.attributes]) {
    if (name === "open" && have.nodeName === "DETAILS") continue;
    if (!wanted.hasAttribute(name) && !isOurs(have, name)) have.removeAttribute(name);
  }
  morph(have, wanted, changed);
}

function isOurs(element, name) {
  return ["data-ready", "data-watched", "data-stale", "data-sending"].includes(name) || (name === "title" && element.nodeName === "TIME");
}

function isTouched(field) {
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (field.nodeName === "SELECT") return [...field.options].some((one) => one.selected !== one.defaultSelected);
  return field.type !== "hidden" && field.value !== field.defaultValue;
}

function enhance(form, started) {
  if (form.dataset.ready) return;
  form.dataset.ready = "true";
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (event.submitter?.hasAttribute("data-no-action")) return;
    // One at a time, whatever a look in between does to the buttons.
    if (form.dataset.sending) return;
    form.dataset.sending = "true";
    const region = document.getElementById(form.dataset.liveTarget);
    const data = new FormData(form, event.submitter);
    const buttons = [...form.querySelectorAll("button")].filter((one) => !one.disabled);
    const method = (form.method || "get").toUpperCase();
    const address = new URL(event.submitter?.getAttribute("formaction") ?? form.getAttribute("action") ?? location.href, location.href);
    const isRead = method === "GET";
    const slow = setTimeout(() => tell(region, "info", SLOW, { isPassing: true }), SLOW_MS);
    for (const button of buttons) button.disabled = true;
    try {
      let body;
      if (isRead) address.search = new URLSearchParams(data).toString();
      else body = [...data.values()].some((one) => one instanceof File) ? data : new URLSearchParams(data);
      const answer = await fetch(address, { method, body, headers: { "X-Live": "1" }, signal: AbortSignal.timeout(GIVE_UP_MS) });
      if (answer.ok && isRead && form.hasAttribute("data-live-history")) history.replaceState(history.state, "", address);
      await take(region, answer, started);
      if (answer.ok && form.isConnected && form.hasAttribute("data-live-reset")) form.reset();
    } catch {
      // Never sent again from here: it may have been done, and only the person knows which button it was.
      tell(region, "warn", isRead ? NOT_READ : BROKEN + (region.dataset.live ? LOOK : RELOAD));
    } finally {
      clearTimeout(slow);
      region.querySelector("[data-passing]")?.remove();
      delete form.dataset.sending;
      for (const button of buttons) button.disabled = false;
    }
  });
}

// Where messages of the last action stand, in place of them; elsewhere at the top.
function tell(region, kind, text, { isPassing = false } = {}) {
  const told = document.createElement("div");
  told.dataset.told = "true";
  if (isPassing) told.dataset.passing = "true";
  told.innerHTML = `<div class="notice notice--${kind}" role="alert"><div><p></p></div></div>`;
  told.querySelector("p").textContent = text;
  const place = region.querySelector("[data-stays]");
  if (place) {
    place.replaceChildren(told);
    return;
  }
  region.querySelector(":scope > [data-told]")?.remove();
  region.prepend(told);
}

// A form that leaves the page is sent once: a second click while the answer is on its way is not a second wish.
export function startSending(root) {
  for (const form of root.querySelectorAll("form[method=post]:not([data-live-target])")) {
    if (form.dataset.ready) continue;
    form.dataset.ready = "true";
    form.addEventListener("submit", (event) => {
      if (form.dataset.sending) {
        event.preventDefault();
        return;
      }
      form.dataset.sending = "true";
      setTimeout(() => delete form.dataset.sending, SLOW_MS);
    });
  }
}
