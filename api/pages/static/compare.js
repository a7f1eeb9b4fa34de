// Ticks on the list of jobs, kept from page to page of it; figures that were not drawn, said why and asked for again.
(() => {
  "use strict";
  const KEPT = "compared";
  const form = document.getElementById("compare");
  if (form) {
    const button = form.querySelector("button");
    const clear = document.createElement("button");
    clear.type = "button";
    clear.className = "quiet";
    clear.textContent = "Clear";
    form.append(clear);
    let chosen;
    try {
      chosen = new Set(JSON.parse(sessionStorage.getItem(KEPT) ?? "[]"));
    } catch {
      chosen = new Set(); // storage is forbidden: ticks last as long as the page
    }

    const boxes = () => document.querySelectorAll('input[name="job"][form="compare"]');

    function show() {
      for (const box of boxes()) box.checked = chosen.has(box.value); // the list was replaced by what the service sent
      form.hidden = chosen.size === 0;
      button.textContent = chosen.size === 1 ? "Compare 1 job" : `Compare ${chosen.size} jobs`;
      try { sessionStorage.setItem(KEPT, JSON.stringify([...chosen])); } catch { /* as above */ }
    }

    document.addEventListener("change", (event) => {
      if (event.target.name !== "job") return;
      if (event.target.checked) chosen.add(event.target.value);
      else chosen.delete(event.target.value);
      show();
    });
    clear.addEventListener("click", () => { chosen.clear(); show(); });
    form.addEventListener("formdata", (event) => { // those on other pages of the list, too
      event.formData.delete("job");
      for (const id of chosen) event.formData.append("job", id);
    });
    document.addEventListener("htmx:after:swap", show);
    addEventListener("pageshow", show); // back from the comparison, the browser restores boxes of its own
    show();
  }

  function load(image, address) {
    for (const source of image.parentElement.querySelectorAll("source")) source.remove(); // else they win over src
    image.src = address.replace(/&again=\d+$/, "") + `&again=${Date.now()}`;
  }

  async function explain(image) {
    const address = image.currentSrc || image.src;
    const note = document.querySelector("[data-figure-note]");
    const answer = await fetch(address, { headers: { Accept: "application/json" } }).catch(() => null);
    if (answer === null || answer.status === 503) {
      if (note) note.textContent = "The figure is not drawn yet; trying again.";
      const seconds = Number(answer?.headers.get("Retry-After") ?? 5);
      setTimeout(() => load(image, address), seconds * 1000);
    } else if (answer.ok) {
      load(image, address);
    } else if (note) {
      note.textContent = (await answer.json()).detail;
    }
  }

  document.addEventListener("error", (event) => {
    if (event.target.matches?.("img[data-figure]")) explain(event.target);
  }, true);
  document.addEventListener("load", (event) => {
    const note = document.querySelector("[data-figure-note]");
    if (note && event.target.matches?.("img[data-figure]")) note.textContent = "";
  }, true);
  for (const image of document.querySelectorAll("img[data-figure]")) {
    if (image.complete && image.naturalWidth === 0) explain(image); // before this script ran
  }
})();
