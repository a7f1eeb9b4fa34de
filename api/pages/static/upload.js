// Upload of a data set or a model: how far it is, with the answer shown in place of the page.
(() => {
  "use strict";
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.id !== "upload-form") return;
    event.preventDefault();
    const bar = form.querySelector("#sent"), status = form.querySelector("#sending"), button = form.querySelector("button.primary");
    const request = new XMLHttpRequest();
    const say = (text) => { if (status.textContent !== text) status.textContent = text; };
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "text/html");
    request.upload.addEventListener("progress", (sent) => {
      bar.hidden = false;
      bar.max = sent.total;
      bar.value = sent.loaded;
      say(sent.loaded < sent.total ? "Sending" : form.dataset.reading ?? "Reading the rows");
    });
    request.addEventListener("load", () => {
      if (request.status < 300) { location.assign(request.responseURL); return; } // it followed the way to what was uploaded
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      const files = [...form.querySelectorAll("input[type=file]")];
      document.querySelector("main").replaceWith(page.querySelector("main"));
      for (const old of files) { // what was chosen is kept
        const now = document.getElementById(old.id);
        if (now !== null) now.files = old.files;
      }
      (document.querySelector("[aria-invalid]") ?? document.querySelector("main")).focus();
    });
    request.addEventListener("error", () => {
      bar.hidden = true;
      button.disabled = false;
      say("The service was not reached; nothing was stored. Try again.");
    });
    button.disabled = true;
    say("Sending");
    request.send(new FormData(form));
  });
})();
