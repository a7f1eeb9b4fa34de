// Form for a new job: defaults follow the task, screen readers announce the steps alone, and a job is sent once.
(() => {
  "use strict";
  const form = document.getElementById("job-form");
  if (form === null) return;

  function showEstimate() {
    const estimate = form.querySelector("#estimate .estimate");
    const status = document.getElementById("estimate-status");
    if (status.textContent !== estimate.dataset.status) status.textContent = estimate.dataset.status;
    for (const [name, value] of Object.entries(JSON.parse(estimate.dataset.defaults ?? "{}")))
      for (const place of form.querySelectorAll(`[data-default="${name}"]`)) {
        const text = `default: ${value}`;
        if (place instanceof HTMLOptionElement) place.textContent = text;
        else place.placeholder = text;
      }
  }

  document.addEventListener("htmx:after:swap", showEstimate);
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => { delete form.dataset.sent; }); // came back
})();
