// Pictures follow the reader's choice of light or dark, which Furo keeps in the attribute data-theme of <body>.
"use strict";
(() => {
  const dark = () => {
    const chosen = document.body.dataset.theme;
    return chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  };
  const choose = () => {
    for (const source of document.querySelectorAll("picture source")) source.media = dark() ? "all" : "not all";
  };
  addEventListener("DOMContentLoaded", () => {
    choose();
    new MutationObserver(choose).observe(document.body, { attributes: true, attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", choose);
  });
})();
