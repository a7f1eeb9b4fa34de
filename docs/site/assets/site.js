// Diagrams and pictures follow the reader's choice of light or dark, which Furo keeps in the attribute data-theme of <body>.
"use strict";
(() => {
  const dark = () => {
    const chosen = document.body.dataset.theme;
    return chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  };
  const draw = async () => {
    const isDark = dark();
    for (const source of document.querySelectorAll("picture source")) source.media = isDark ? "all" : "not all";
    if (typeof mermaid === "undefined") return; // a page without diagrams
    const diagrams = [...document.querySelectorAll("pre.mermaid")];
    for (const diagram of diagrams) {
      diagram.dataset.text ??= diagram.textContent;
      diagram.textContent = diagram.dataset.text;
      delete diagram.dataset.processed;
    }
    mermaid.initialize({ startOnLoad: false, securityLevel: "strict", theme: isDark ? "dark" : "neutral", fontFamily: "sans-serif" });
    await mermaid.run({ nodes: diagrams });
  };
  addEventListener("DOMContentLoaded", () => {
    draw();
    new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  });
})();
