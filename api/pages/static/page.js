// Of every page: colours, ages of moments, copying, questions before an action, and a message when the service is unreachable.
(() => {
  "use strict";
  const THEMES = ["system", "light", "dark"];
  const MARKS = { system: "◐", light: "☀", dark: "☾" };
  const root = document.documentElement;

  function theme() {
    try {
      const kept = localStorage.getItem("theme");
      return THEMES.includes(kept) ? kept : "system";
    } catch {
      return "system"; // storage is forbidden
    }
  }

  function applyTheme(name) {
    if (name === "system") delete root.dataset.theme;
    else root.dataset.theme = name;
    const button = document.getElementById("theme");
    if (button === null) return;
    button.hidden = false;
    button.textContent = MARKS[name];
    button.setAttribute("aria-label", name === "system" ? "Colours: as the system" : `Colours: ${name}`);
    button.title = button.getAttribute("aria-label");
    document.dispatchEvent(new CustomEvent("themechange"));
  }
  applyTheme(theme()); // before the page is painted

  function age(seconds) {
    const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
    const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? units[3];
    const count = Math.round(Math.abs(seconds) / length);
    if (count === 0) return "now";
    return seconds > 0 ? `${count} ${unit} ago` : `in ${count} ${unit}`;
  }

  let clockOffset = 0; // the service's clock less this machine's, in milliseconds

  function refreshAges() {
    for (const moment of document.querySelectorAll("time[datetime]:not([data-exact])")) {
      const text = age((Date.now() + clockOffset - Date.parse(moment.dateTime)) / 1000);
      if (moment.textContent !== text) moment.textContent = text;
    }
  }

  async function copy(button) {
    const text = button.parentElement.querySelector("pre").textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(button.parentElement.querySelector("pre"));
      return; // no permission: the text is selected, ready for the keyboard
    }
    const label = button.textContent;
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = label; }, 1500);
  }

  function showCopyButtons() {
    for (const button of document.querySelectorAll("button.copy[hidden]")) button.hidden = false;
  }

  function ask(details) {
    const dialog = document.createElement("dialog");
    const form = details.querySelector("form").cloneNode(true);
    const question = form.querySelector("p");
    question.id = "question";
    dialog.setAttribute("aria-labelledby", "question");
    const back = document.createElement("button");
    back.type = "button";
    back.textContent = "Back";
    back.autofocus = true; // Enter on a question that was not read changes nothing
    back.addEventListener("click", () => dialog.close());
    form.append(back);
    dialog.append(form);
    dialog.addEventListener("close", () => {
      dialog.remove();
      details.querySelector("summary").focus();
    });
    document.body.append(dialog);
    dialog.showModal();
  }

  document.addEventListener("click", (event) => {
    const summary = event.target.closest?.("details.ask > summary");
    if (summary) {
      event.preventDefault();
      ask(summary.parentElement);
    }
    const button = event.target.closest?.("button.copy");
    if (button) copy(button);
  });

  function say(text) {
    const place = document.getElementById("connection");
    if (place && place.textContent !== text) place.textContent = text;
  }

  document.addEventListener("DOMContentLoaded", () => {
    applyTheme(theme());
    document.getElementById("theme")?.addEventListener("click", () => {
      const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
      try { localStorage.setItem("theme", next); } catch { /* only for this page, then */ }
      applyTheme(next);
    });
    const loaded = document.querySelector("meta[name=now]");
    if (loaded) clockOffset = Date.parse(loaded.content) - Date.now();
    showCopyButtons();
    refreshAges();
    setInterval(refreshAges, 1000);
  });
  document.addEventListener("htmx:error", () => say("The service is not reached; trying again"));
  document.addEventListener("htmx:response:error", (event) => say(
    event.detail.ctx?.response?.status === 429 ? "Too many requests; going on more slowly" : "The service answers with an error; trying again"));
  document.addEventListener("htmx:after:swap", () => { say(""); showCopyButtons(); });
})();
