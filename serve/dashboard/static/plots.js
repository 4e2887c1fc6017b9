// Lets people explore a plot: zoom, pan, switch series off. The library is fetched when the first plot is explored.
// Without it, and without script, the plots stay the drawings of the page.
"use strict";

const LIBRARY = document.currentScript.dataset.library;
let loading = null;

// With this element the library leaves its styles to our style sheet. The policy of these pages allows no others.
const marker = document.createElement("template");
marker.id = "plotly.js-style-global";
marker.className = "no-inline-styles";
document.head.append(marker);
document.documentElement.classList.add("explores");

function library() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = LIBRARY;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { loading = null; reject(new Error("the plotting library could not be loaded")); };
    document.head.append(script);
  });
  return loading;
}

// The style sheet's colours are pairs. The style of an element says which one of a pair is used now.
function colours(figure) {
  const probe = document.createElement("span");
  figure.append(probe);
  const result = {};
  for (const name of ["text", "muted", "line", "accent", "card", "good"]) {
    probe.style.color = `var(--${name})`;
    result[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return result;
}

function axis(colour, more) {
  return {
    gridcolor: colour.line, zerolinecolor: colour.line, linecolor: colour.line, tickfont: { color: colour.muted },
    automargin: true, ...more,
  };
}

function columnsPlot(data, colour, isNarrow) {
  const bars = {
    type: "bar", name: "spent", x: data.x, y: data.usd, customdata: data.labels,
    hovertemplate: "%{customdata}<extra></extra>", marker: { color: colour.accent },
  };
  const line = {
    type: "scatter", mode: "lines+markers", name: "requests", x: data.x, y: data.requests, yaxis: "y2",
    hoverinfo: "skip", line: { color: colour.good, width: 1.5 }, marker: { size: 4 },
  };
  const layout = {
    xaxis: axis(colour, { type: "date", showgrid: false, tickangle: 0, nticks: isNarrow ? 4 : 9 }),
    yaxis: axis(colour, { tickprefix: "$", exponentformat: "none", rangemode: "tozero", fixedrange: true }),
    yaxis2: axis(colour, {
      overlaying: "y", side: "right", rangemode: "tozero", showgrid: false, fixedrange: true, tickmode: "auto",
      nticks: 4, tickformat: "~s",
    }),
  };
  return [[bars, line], layout];
}

const LOOKS = {
  chosen: ["chosen", "circle"],
  runner_up: ["runner-up", "circle-open"],
  eligible: ["eligible", "circle-open"],
  excluded: ["excluded", "circle-open-dot"],
};

function scatterPlot(data, colour, isNarrow) {
  const traces = [];
  for (const [kind, [name, symbol]] of Object.entries(LOOKS)) {
    const dots = data.dots.filter((dot) => dot.kind === kind);
    if (dots.length > 0) {
      const isMain = kind === "chosen" || kind === "runner_up";
      traces.push({
        type: "scatter", mode: isMain && !isNarrow ? "markers+text" : "markers", name,
        x: dots.map((dot) => dot.usd), y: dots.map((dot) => dot.quality), text: dots.map((dot) => dot.lane),
        textposition: "top center", textfont: { color: colour.text }, cliponaxis: false,
        customdata: dots.map((dot) => dot.description), hovertemplate: "%{customdata}<extra></extra>",
        error_y: {
          array: dots.map((dot) => dot.std ?? 0), visible: isMain, thickness: 1, width: 0, color: colour.accent,
        },
        marker: {
          size: kind === "chosen" ? 13 : 10, symbol, color: isMain ? colour.accent : colour.muted, line: { width: 2 },
        },
      });
    }
  }
  const layout = {
    hovermode: "closest",
    xaxis: axis(colour, {
      type: data.is_logarithmic ? "log" : "linear", tickprefix: "$", exponentformat: "none", tickangle: 0,
      dtick: data.is_logarithmic ? 1 : undefined, title: { text: "expected cost", font: { color: colour.muted } },
    }),
    yaxis: axis(colour, { title: { text: "quality", font: { color: colour.muted } } }),
  };
  return [traces, layout];
}

async function draw(figure) {
  const Plotly = await library();
  const data = JSON.parse(figure.dataset.plot);
  const colour = colours(figure);
  const isNarrow = figure.clientWidth < 480;
  const plot = data.kind === "columns" ? columnsPlot : scatterPlot;
  const [traces, more] = plot(data, colour, isNarrow);
  const layout = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 44, r: 16, t: 14, b: 36 },
    dragmode: "zoom", hovermode: "x", bargap: 0.25,
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour.text },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    hoverlabel: { bgcolor: colour.card, bordercolor: colour.line, font: { color: colour.text }, align: "left" },
    ...more,
  };
  const place = figure.querySelector(".explored");
  const options = { displayModeBar: false, responsive: true, scrollZoom: true, doubleClick: "reset" };
  await Plotly.react(place, traces, layout, options);
}

// Zooms by keyboard or touch: half as much, twice as much, or all.
function zoom(figure, factor) {
  const place = figure.querySelector(".explored");
  const change = { "xaxis.autorange": true, "yaxis.autorange": true };
  if (factor) {
    const [low, high] = place._fullLayout.xaxis.range.map((end) => place._fullLayout.xaxis.r2l(end));
    const [middle, half] = [(low + high) / 2, (high - low) / 2 * factor];
    delete change["xaxis.autorange"];
    delete change["yaxis.autorange"];
    change["xaxis.range"] = [middle - half, middle + half].map((end) => place._fullLayout.xaxis.l2r(end));
  }
  window.Plotly.relayout(place, change);
}

async function toggle(figure, button) {
  if (figure.classList.contains("is-explored")) {
    window.Plotly.purge(figure.querySelector(".explored"));
    figure.classList.remove("is-explored");
    button.textContent = "Explore";
    return;
  }
  button.disabled = true;
  try {
    figure.classList.add("is-explored");
    await draw(figure);
    button.textContent = "Back to the drawing";
  } catch (error) {
    figure.classList.remove("is-explored");
    button.textContent = `Failed: ${error.message}`;
  }
  button.disabled = false;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-explore]");
  const figure = button?.closest("figure");
  if (!figure) {
    return;
  }
  if (button.dataset.explore === "toggle") {
    toggle(figure, button);
  } else {
    zoom(figure, Number(button.dataset.explore));
  }
});

// A plot is drawn again in the colours of a new theme.
function redraw() {
  for (const figure of document.querySelectorAll("figure.is-explored")) {
    draw(figure);
  }
}
new MutationObserver(redraw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
