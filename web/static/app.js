// What HTML cannot do by itself. Every page works without this file; nothing here decides anything.
//
// Load it in <head> without `defer`, so that the chosen theme is there before the first line is drawn.
// The markup it looks for:
//
//   <button data-theme>                      steps through the themes: like the system, light, dark
//   <button data-ask="ID">                   opens <dialog class="ask" id="ID">; put `autofocus` on its safe button
//   <button data-close>                      closes the dialog, or takes away the toast, that it lies in
//   <form data-pick>                         a form around table.pickable: counts the ticks
//     <input type="checkbox" data-all>         ticks all on this page
//     <div class="selection" hidden>           shown after the first tick
//     <b data-words="Lift {n} suppression|Lift {n} suppressions">  says it with the number of ticks
//   <button data-copy="ID" hidden>           copies the value of #ID; hidden where that cannot be done
//   <div id="toasts">                        each .pop in it goes after 10 s, but for those with `data-stays`
//   <button aria-expanded hx-get>            opens <tr class="opened"> after its row; again, or Esc, closes it
//   <p data-says="ID" role="status">         repeats the words of #ID (data-done, data-total) at each quarter
//   <figure class="chart" data-chart="bars|lines">  draws the table in it; see `draw`

"use strict";

// ── Theme ──────────────────────────────────────────────────────────────────
const THEMES = { system: "Theme: like the system", light: "Theme: light", dark: "Theme: dark" };

function chosenTheme() {
  try {
    const theme = localStorage.getItem("theme");
    return theme in THEMES ? theme : "system";
  } catch {
    return "system"; // storage is forbidden here
  }
}

function showTheme(theme) {
  if (theme === "system") document.documentElement.removeAttribute("data-bs-theme");
  else document.documentElement.setAttribute("data-bs-theme", theme);
  for (const button of document.querySelectorAll("[data-theme]")) button.textContent = THEMES[theme];
}

function nextTheme() {
  const names = Object.keys(THEMES);
  const theme = names[(names.indexOf(chosenTheme()) + 1) % names.length];
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // It holds for this page at least.
  }
  showTheme(theme);
  drawCharts();
}

showTheme(chosenTheme());

// ── Selection ──────────────────────────────────────────────────────────────
function countTicks(form) {
  const boxes = [...form.querySelectorAll("tbody .pick input[type=checkbox]")];
  const count = boxes.filter((box) => box.checked).length;
  for (const box of boxes) {
    const row = box.closest("tr");
    if (box.checked) row.setAttribute("aria-selected", "true");
    else row.removeAttribute("aria-selected");
  }
  for (const all of form.querySelectorAll("[data-all]")) {
    all.checked = count > 0 && count === boxes.length;
    all.indeterminate = count > 0 && count < boxes.length;
  }
  for (const bar of form.querySelectorAll(".selection")) bar.hidden = count === 0;
  for (const place of form.querySelectorAll("[data-words]")) {
    const [one, many] = place.dataset.words.split("|");
    place.textContent = (count === 1 ? one : many).replace("{n}", count.toLocaleString("en"));
  }
}

function ticked(box) {
  const form = box.closest("form[data-pick]");
  if (!form) return;
  if (box.matches("[data-all]")) {
    for (const one of form.querySelectorAll("tbody .pick input[type=checkbox]")) one.checked = box.checked;
  }
  countTicks(form);
}

// ── Toasts ─────────────────────────────────────────────────────────────────
const TOAST_SECONDS = 10;

// Goes after its time, but never from under the pointer or the focus.
function armToast(toast) {
  if (toast.dataset.armed || "stays" in toast.dataset) return;
  toast.dataset.armed = "";
  const leave = () => {
    if (toast.matches(":hover, :focus-within")) setTimeout(leave, 1000);
    else toast.remove();
  };
  setTimeout(leave, TOAST_SECONDS * 1000);
}

function armToasts() {
  for (const toast of document.querySelectorAll("#toasts > .pop")) armToast(toast);
}

// An error of the way to the server: it stays until it is read.
function sayError(words) {
  const toasts = document.getElementById("toasts");
  if (!toasts || [...toasts.children].some((toast) => toast.firstChild?.textContent === words)) return;
  const toast = document.createElement("div");
  toast.className = "pop";
  toast.dataset.stays = "";
  toast.setAttribute("role", "alert");
  const text = document.createElement("span");
  text.textContent = words;
  const close = document.createElement("button");
  close.className = "btn";
  close.type = "button";
  close.dataset.close = "";
  close.textContent = "Close";
  toast.append(text, close);
  toasts.append(toast);
}

// ── Copying ────────────────────────────────────────────────────────────────
async function copyFrom(button) {
  const field = document.getElementById(button.dataset.copy);
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Press Ctrl+C"; // it is selected
  }
}

document.addEventListener("DOMContentLoaded", () => {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => copyFrom(button));
  }
});

// ── Rows that open ─────────────────────────────────────────────────────────
function closeRow(opened) {
  const opener = opened.previousElementSibling?.querySelector("[aria-expanded=true]");
  opened.previousElementSibling?.classList.remove("opens");
  opened.remove();
  opener?.setAttribute("aria-expanded", "false");
  opener?.focus();
}

function rowOpened(button) {
  const row = button.closest("tr");
  const opened = row?.nextElementSibling;
  if (!opened?.matches(".opened")) return;
  row.classList.add("opens");
  button.setAttribute("aria-expanded", "true");
  const heading = opened.querySelector("h2, h3");
  heading?.setAttribute("tabindex", "-1");
  heading?.focus();
}

// ── Spoken progress ────────────────────────────────────────────────────────
// A screen reader hears of each quarter and of the end, not of every second.
function sayProgress() {
  for (const region of document.querySelectorAll("[data-says]")) {
    const source = document.getElementById(region.dataset.says);
    const total = Number(source?.dataset.total);
    if (!(total > 0)) continue;
    const quarter = String(Math.floor((4 * Number(source.dataset.done)) / total));
    if (region.dataset.quarter !== undefined && region.dataset.quarter !== quarter) {
      region.textContent = source.textContent;
    }
    region.dataset.quarter = quarter;
  }
}

// ── Charts ─────────────────────────────────────────────────────────────────
// The table in the figure is the chart: its first column holds <time datetime>, each further column is a series
// whose <th class="g-a"> names the colour. Bars are stacked. Where the script is missing, the table remains.
const charts = new Map(); // figure → { plot, told }

function figures(figure) {
  const table = figure.querySelector("table");
  const rows = [...table.tBodies[0].rows];
  const number = (cell) => Number(cell.dataset.value ?? cell.textContent.replace(/[^\d.-]/g, ""));
  const series = [...table.tHead.rows[0].cells].slice(1).map((head, column) => ({
    name: head.textContent.trim(),
    colour: tone(figure, head.className),
    values: rows.map((row) => number(row.cells[column + 1])),
  }));
  const times = rows.map((row) => Date.parse(row.cells[0].querySelector("time").dateTime) / 1000);
  return { times, labels: rows.map((row) => row.cells[0].textContent.trim()), series };
}

// A canvas cannot read our colour tokens; an element can.
function tone(figure, className) {
  const probe = document.createElement("span");
  probe.className = `tone ${className}`;
  figure.append(probe);
  const colour = getComputedStyle(probe).backgroundColor;
  probe.remove();
  return colour;
}

function colourOf(token) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(${token})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

// Each bar ends where all up to it end; the highest is drawn first, the others over it.
function stacked(series) {
  const sums = [];
  for (const { values } of series) {
    const below = sums.at(-1) ?? values.map(() => 0);
    sums.push(values.map((value, at) => value + below[at]));
  }
  return sums;
}

// Room for half a bar at both ends.
function span(times) {
  const gaps = times.slice(1).map((time, at) => time - times[at]);
  const half = Math.min(...gaps, 86400) / 2;
  return [times[0] - half, times.at(-1) + half];
}

// The times that are written below a chart of this width: as many as fit, the last among them.
function written(times, width) {
  const step = Math.max(1, Math.ceil((times.length * 72) / Math.max(width, 72)));
  return times.filter((_, at) => (times.length - 1 - at) % step === 0);
}

function draw(figure) {
  const { times, labels, series } = figures(figure);
  const bars = figure.dataset.chart === "bars";
  const drawn = series.map((one, at) => ({ ...one, plotted: bars ? stacked(series)[at] : one.values }));
  if (bars) drawn.reverse();

  figure.querySelector(".room")?.remove();
  const room = document.createElement("div");
  room.className = "room";
  room.setAttribute("aria-hidden", "true"); // the table says it in words
  figure.prepend(room);
  let reading = figure.querySelector(".reading");
  if (!reading) {
    reading = document.createElement("p");
    reading.className = "reading";
    reading.setAttribute("aria-hidden", "true");
    room.after(reading);
  }
  const axis = { stroke: colourOf("--muted"), grid: { stroke: colourOf("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  const size = () => ({ width: room.clientWidth, height: Math.max(room.clientHeight, 220) });
  const plot = new uPlot(
    {
      ...size(),
      legend: { show: false },
      cursor: { y: false, points: { show: !bars }, drag: { x: false, y: false } },
      scales: { x: { range: () => span(times) }, y: { range: (_, __, most) => [0, Math.max(most * 1.05, 1)] } },
      axes: [
        {
          ...axis,
          grid: { show: false },
          splits: (chart) => written(times, chart.width),
          values: (_, splits) => splits.map((time) => labels[times.indexOf(time)]),
        },
        { ...axis, size: 64 },
      ],
      series: [{}, ...drawn.map((one) => ({
        label: one.name,
        stroke: one.colour,
        fill: bars ? one.colour : undefined,
        width: bars ? 0 : 2,
        paths: bars ? uPlot.paths.bars({ size: [0.7, 48], radius: 0.06 }) : undefined,
        points: { show: !bars && times.length < 2 },
      }))],
      hooks: {
        setCursor: [({ cursor: { idx } }) => {
          const words = series.filter((one) => one.values[idx]).map((one) => `${one.name} ${one.values[idx].toLocaleString("en")}`);
          reading.textContent = idx == null ? "" : `${labels[idx]}: ${words.join(" · ") || "nothing"}`;
        }],
      },
    },
    [times, ...drawn.map((one) => one.plotted)],
    room,
  );
  const observer = new ResizeObserver(() => plot.setSize(size()));
  observer.observe(room);
  // The figures may fold away now, unless somebody opens them.
  if (!figure.classList.contains("drawn")) figure.querySelector("details.data")?.removeAttribute("open");
  figure.classList.add("drawn");
  return { plot, observer, told: figure.querySelector("table").textContent };
}

function forget(figure) {
  const chart = charts.get(figure);
  chart?.observer.disconnect();
  chart?.plot.destroy();
  charts.delete(figure);
}

// Draws what is new or different; `all` also what only changed its colours.
function drawCharts(all = true) {
  for (const figure of charts.keys()) if (all || !figure.isConnected) forget(figure);
  if (typeof uPlot === "undefined") return;
  for (const figure of document.querySelectorAll("figure.chart[data-chart]")) {
    const table = figure.querySelector("table");
    if (!table?.tBodies[0]?.rows.length) continue;
    if (charts.get(figure)?.told === table.textContent && figure.querySelector(".room")) continue;
    forget(figure);
    charts.set(figure, draw(figure));
  }
}

// ── Listening ──────────────────────────────────────────────────────────────
// After a page or a part of it is there.
function look() {
  for (const form of document.querySelectorAll("form[data-pick]")) countTicks(form);
  armToasts();
  sayProgress();
  drawCharts(false);
}

// A summary of what is wrong with a form takes the focus, so that it is read first.
function focusErrors(within) {
  within?.querySelector?.("[role=alert][tabindex='-1']")?.focus();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button, a");
  if (!button) return;
  if (button.matches("[data-theme]")) nextTheme();
  if (button.matches("[data-ask]")) {
    event.preventDefault();
    document.getElementById(button.dataset.ask)?.showModal();
  }
  if (button.matches("[data-close]")) button.closest("dialog") ? button.closest("dialog").close() : button.closest(".pop")?.remove();
});

// Before htmx hears of it: a second press closes what the first one opened.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[aria-expanded=true][hx-get]");
  const opened = button?.closest("tr")?.nextElementSibling;
  if (!opened?.matches(".opened")) return;
  event.preventDefault();
  event.stopPropagation();
  closeRow(opened);
}, { capture: true });

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const opened = event.target.closest?.("tr.opened");
  if (opened) closeRow(opened);
});

document.addEventListener("change", (event) => {
  if (event.target.matches?.("input[type=checkbox]")) ticked(event.target);
});

document.addEventListener("htmx:after:swap", (event) => {
  look();
  const { ctx } = event.detail;
  if (event.target.matches?.("[aria-expanded=false][hx-get]")) rowOpened(event.target);
  if (ctx?.response?.status === 422) focusErrors(document.getElementById("main") ?? document.body);
});

document.addEventListener("htmx:error", (event) => {
  // A stream reconnects by itself, and the page says how old it is.
  if (event.target.matches?.("[hx-sse\\:connect]")) return;
  sayError("The server did not answer. Try again.");
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawCharts());

document.addEventListener("DOMContentLoaded", () => {
  showTheme(chosenTheme());
  for (const button of document.querySelectorAll("[data-theme]")) button.hidden = false;
  const toasts = document.getElementById("toasts");
  if (toasts) new MutationObserver(armToasts).observe(toasts, { childList: true });
  look();
  focusErrors(document);
});
