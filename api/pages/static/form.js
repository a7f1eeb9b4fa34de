// Form for a new job: defaults follow the task, and a job is sent once.
(() => {
  "use strict";
  const form = document.getElementById("job-form");
  if (form === null) return;

  function showDefaults() {
    const given = form.querySelector("#estimate [data-defaults]")?.dataset.defaults;
    if (given === undefined) return;
    for (const [name, value] of Object.entries(JSON.parse(given)))
      for (const place of form.querySelectorAll(`[data-default="${name}"]`)) {
        const text = `default: ${value}`;
        if (place instanceof HTMLOptionElement) place.textContent = text;
        else place.placeholder = text;
      }
  }

  document.addEventListener("htmx:after:swap", showDefaults);
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => { delete form.dataset.sent; }); // came back
})();
