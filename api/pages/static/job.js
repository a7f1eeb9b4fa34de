// Live curves of a job (uPlot): every report once, by a cursor, so that none is missing after a pause or a lost connection.
(() => {
  "use strict";
  const place = document.getElementById("curves");
  if (place === null) return;
  const steps = new Map(); // step → {attempt, values}
  const charts = [];
  let after = 0, busy = false, again = false, frame = 0;

  function add(step, attempt, values) {
    const known = steps.get(step);
    if (known !== undefined && known.attempt === attempt) Object.assign(known.values, values);
    else {
      // a run that resumed repeats steps: what the earlier one reported from here on counts no more; step 0, the dense model,
      // is evaluated by every run
      if (step > 0) for (const [number, point] of steps) if (number >= step && point.attempt < attempt) steps.delete(number);
      steps.set(step, { attempt, values });
    }
  }

  async function load() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      let more = true;
      while (more) {
        const answer = await fetch(`${place.dataset.address}?after=${after}`, { headers: { Accept: "application/json" } });
        if (!answer.ok) return; // page.js tells of it; the next event tries again
        const part = await answer.json();
        for (const [step, attempt, values] of part.rows) add(step, attempt, values);
        after = part.after;
        more = part.more;
      }
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(draw);
    } catch {
      return; // away; the next event tries again
    } finally {
      busy = false;
      if (again) { again = false; load(); }
    }
  }

  function columns(prefix, unit) {
    const numbers = [...steps.keys()].sort((a, b) => a - b);
    const names = new Set();
    for (const { values } of steps.values())
      for (const name of Object.keys(values))
        if (prefix.endsWith("_") ? name.startsWith(prefix) : name === prefix) names.add(name);
    const kept = numbers.filter((step) => [...names].some((name) => steps.get(step).values[name] !== undefined));
    const factor = unit === "%" ? 100 : 1;
    const data = [...names].map((name) => kept.map((step) => {
      const value = steps.get(step).values[name];
      return typeof value === "number" ? value * factor : null;
    }));
    return { names: [...names], data: [kept, ...data] };
  }

  function options(figure, names) {
    const line = getComputedStyle(figure), soft = getComputedStyle(figure.querySelector("figcaption")).color;
    const axis = { stroke: soft, grid: { stroke: line.borderTopColor, width: 1 }, ticks: { stroke: line.borderTopColor, width: 1 }, font: "11px system-ui" };
    const few = names.length > 0 && figure.dataset.series.endsWith("_");
    return {
      width: Math.max(200, figure.clientWidth), height: 190,
      scales: { x: { time: false } },
      cursor: { points: { size: 6 } },
      axes: [{ ...axis, size: 32 }, { ...axis, size: 52 }],
      series: [{ label: "step" }, ...names.map((name, i) => ({
        label: name.replace("validation_", "").replaceAll("_", " "), stroke: line.color, width: 1.6, spanGaps: true,
        dash: i > 0 ? [6, 3 * i] : undefined, points: { show: few, size: 5, stroke: line.color, fill: line.color },
      }))],
    };
  }

  function draw() {
    for (const figure of place.querySelectorAll("figure")) {
      const { names, data } = columns(figure.dataset.series, figure.dataset.unit);
      const chart = charts.find((each) => each.figure === figure);
      figure.classList.toggle("bare", names.length === 0);
      if (names.length === 0) continue;
      if (chart !== undefined && chart.names.join() === names.join()) { chart.plot.setData(data); continue; }
      if (chart !== undefined) { chart.plot.destroy(); charts.splice(charts.indexOf(chart), 1); }
      charts.push({ figure, names, plot: new uPlot(options(figure, names), data, figure) });
      figure.querySelector("canvas").setAttribute("aria-label", `Curve of ${figure.dataset.title} by step`);
      figure.querySelector("canvas").setAttribute("role", "img");
    }
  }

  function redraw() {
    for (const { plot } of charts.splice(0)) plot.destroy();
    draw();
  }

  document.addEventListener("themechange", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new ResizeObserver(() => {
    for (const { figure, plot } of charts) if (plot.width !== figure.clientWidth) plot.setSize({ width: Math.max(200, figure.clientWidth), height: 190 });
  }).observe(place);

  if (place.dataset.live) {
    const source = document.querySelector(place.dataset.live);
    source.addEventListener("progress", load);
    source.addEventListener("end", load);
  }
  load();
})();

// The log stays at its end while it is open.
(() => {
  "use strict";
  const log = document.getElementById("events");
  if (log === null) return;
  let follows = true;
  log.scrollTop = log.scrollHeight;
  log.addEventListener("scroll", () => { follows = log.scrollHeight - log.scrollTop - log.clientHeight < 24; }, { passive: true });
  new MutationObserver(() => { if (follows) log.scrollTop = log.scrollHeight; }).observe(log, { childList: true });
})();
