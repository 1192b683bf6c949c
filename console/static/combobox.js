// An editable combobox with list autocomplete (WAI-ARIA Authoring Practices). Mark-up that also works without scripts:
//
//   <div class="combobox" data-combobox="/c/acme/external-items?kind=customer" data-value-name="list_id">
//     <input name="name" value="..." autocomplete="off">      what people type; without scripts the server looks it up
//     <input type="hidden" name="list_id" value="...">        the id of what was chosen; emptied while somebody types
//   </div>
//
// The address answers GET ?q=... with JSON {"options": [{value, label, note?, disabled?, reason?}], "more": bool}.
import { announce } from "./copy.js";

const PAUSE_MS = 80;
let number = 0;

export function startComboboxes(root) {
  for (const box of root.querySelectorAll("[data-combobox]")) {
    if (!box.dataset.ready) new Combobox(box);
  }
}

class Combobox {
  constructor(box) {
    box.before_scripts = box.outerHTML;
    box.dataset.ready = "true";
    this.box = box;
    this.input = box.querySelector("input:not([type=hidden])");
    this.value = box.querySelector("input[type=hidden]");
    this.options = [];
    this.active = -1;
    this.asked = 0;
    this.chosen = this.input.value;
    this.popup = document.createElement("div");
    this.popup.className = "combobox__list";
    this.popup.hidden = true;
    this.note = document.createElement("div");
    this.note.className = "combobox__status";
    this.list = document.createElement("div");
    this.list.id = `combobox-${number += 1}`;
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", this.input.labels?.[0]?.textContent.trim() ?? this.input.getAttribute("aria-label") ?? "Choices");
    this.popup.append(this.list, this.note);
    box.append(this.popup);
    const set = (name, value) => this.input.setAttribute(name, value);
    set("role", "combobox");
    set("aria-autocomplete", "list");
    set("aria-expanded", "false");
    set("aria-controls", this.list.id);
    set("autocomplete", "off");
    this.input.addEventListener("input", () => this.typed());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("click", () => { if (this.popup.hidden) this.ask(); });
    this.input.addEventListener("blur", () => this.left());
    this.popup.addEventListener("mousedown", (event) => {
      event.preventDefault();
      const option = event.target.closest("[role=option]");
      if (option) this.choose(Number(option.dataset.at));
    });
  }

  typed() {
    if (this.value) this.value.value = "";
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), PAUSE_MS);
  }

  async ask() {
    const turn = this.asked += 1;
    const address = new URL(this.box.dataset.combobox, location.href);
    // An untouched field shows everything, not only itself.
    address.searchParams.set("q", this.input.value === this.chosen ? "" : this.input.value);
    this.stop?.abort();
    this.stop = new AbortController();
    try {
      const answer = await fetch(address, { headers: { "X-Live": "1", Accept: "application/json" }, signal: this.stop.signal });
      if (!answer.ok) throw new Error(String(answer.status));
      const found = await answer.json();
      if (turn === this.asked) this.show(found.options, found.more);
    } catch (error) {
      if (error.name !== "AbortError" && turn === this.asked) this.say("The list could not be loaded. Type again to retry.");
    }
  }

  show(options, more) {
    this.options = options;
    this.active = -1;
    this.list.replaceChildren(...options.map((option, at) => this.row(option, at)));
    this.list.hidden = !options.length;
    this.note.textContent = !options.length ? "Nothing in QuickBooks matches." : more ? "There are more; type to narrow it down." : "";
    announce(options.length ? `${options.length}${more ? " and more" : ""} choices` : this.note.textContent);
    this.open();
  }

  row(option, at) {
    const row = document.createElement("div");
    row.className = "combobox__option";
    row.setAttribute("role", "option");
    row.id = `${this.list.id}-${at}`;
    row.dataset.at = at;
    row.setAttribute("aria-selected", "false");
    row.append(option.label);
    const note = option.disabled ? option.reason : option.note;
    if (option.disabled) row.setAttribute("aria-disabled", "true");
    if (note) {
      const small = document.createElement("small");
      small.textContent = note;
      row.append(small);
    }
    return row;
  }

  say(text) {
    this.options = [];
    this.list.replaceChildren();
    this.list.hidden = true;
    this.note.textContent = text;
    announce(text);
    this.open();
  }

  open() {
    this.popup.hidden = false;
    this.note.hidden = !this.note.textContent;
    this.input.setAttribute("aria-expanded", "true");
    this.input.removeAttribute("aria-activedescendant");
  }

  close() {
    this.popup.hidden = true;
    this.active = -1;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  move(to) {
    const rows = [...this.list.querySelectorAll("[role=option]")];
    if (!rows.length) return;
    this.active = (to + rows.length) % rows.length;
    rows.forEach((row, at) => row.setAttribute("aria-selected", String(at === this.active)));
    rows[this.active].scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", rows[this.active].id);
  }

  key(event) {
    const isOpen = !this.popup.hidden;
    switch (event.key) {
      case "ArrowDown":
        if (isOpen) this.move(this.active + 1);
        else this.ask();
        break;
      case "ArrowUp":
        if (isOpen) this.move(this.active < 0 ? this.options.length - 1 : this.active - 1);
        else this.ask();
        break;
      case "Enter":
        if (!isOpen || this.active < 0) return;
        this.choose(this.active);
        break;
      case "Escape":
        if (!isOpen) {
          this.input.value = "";
          if (this.value) this.value.value = "";
          break;
        }
        this.close();
        break;
      case "Tab":
        if (isOpen && this.active >= 0) this.choose(this.active);
        this.close();
        return;
      default:
        return;
    }
    event.preventDefault();
  }

  choose(at) {
    const option = this.options[at];
    if (!option) return;
    if (option.disabled) {
      announce(`${option.label} cannot be chosen. ${option.reason ?? ""}`);
      return;
    }
    this.input.value = option.label;
    this.chosen = option.label;
    if (this.value) this.value.value = option.value;
    this.close();
    announce(`${option.label} chosen`);
    this.box.dispatchEvent(new CustomEvent("chosen", { bubbles: true, detail: option }));
    if (this.box.hasAttribute("data-submit")) this.input.form?.requestSubmit();
  }

  left() {
    clearTimeout(this.timer);
    this.asked += 1;
    this.stop?.abort();
    this.close();
  }
}
