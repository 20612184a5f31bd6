"use strict";
const CLASSES = ["Tumor: Negative", "Tumor: 1+", "Tumor: 2+", "Tumor: 3+", "Immune cells: Negative", "Immune cells: Positive",
  "Macrophage: Negative", "Macrophage: Positive", "Stroma", "Other", "Ignore*", "Region*"];
const at = (id) => document.getElementById(id);
const view = { slides: [], number: null, info: null, cells: null, tool: "pan", shown: true, only: "", map: null, layer: null, tiles: null };
window.review = view;

function make(tag, text, attributes = {}) {
  const found = document.createElement(tag);
  if (text !== undefined && text !== null) found.textContent = text;
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  return found;
}
const short = (value) => (value === null || value === undefined ? "–" : Math.abs(value) >= 100 ? value.toFixed(0) : Number(value.toPrecision(3)).toString());
const reader = () => at("reader").value.trim();
function say(text) { at("message").textContent = text || ""; if (text) setTimeout(() => { if (at("message").textContent === text) at("message").textContent = ""; }, 8000); }

async function ask(address, body) {
  document.body.dataset.waiting = Number(document.body.dataset.waiting || 0) + 1;
  try {
    const options = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...body, reader: reader() }) } : {};
    const answer = await fetch(body ? address : `${address}?reader=${encodeURIComponent(reader())}`, options);
    if (!answer.ok) {
      const told = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
      throw new Error(told.error);
    }
    return answer.headers.get("Content-Type").startsWith("application/json") ? await answer.json() : await answer.arrayBuffer();
  } catch (error) { say(error.message); throw error; }
  finally { document.body.dataset.waiting = Number(document.body.dataset.waiting) - 1; }
}

// -- the list ---
async function loadList() {
  const told = await ask("api/cohort");
  Object.assign(view, told);
  at("undo").disabled = view.read_only;
  showList();
}
function showList() {
  const words = at("search").value.toLocaleLowerCase().split(/\s+/).filter(Boolean), order = at("order").value;
  const text = (one) => [one.slide, one.patient, one.timepoint, one.status, one.reason].join(" ").toLocaleLowerCase();
  const found = view.slides.filter((one) => words.every((word) => text(one).includes(word)));
  const natural = (a, b) => a.slide.localeCompare(b.slide, undefined, { numeric: true });
  if (order === "slide") found.sort(natural);
  if (order === "status") found.sort((a, b) => a.status.localeCompare(b.status) || natural(a, b));
  at("count").textContent = `${found.length} of ${view.slides.length} slides`;
  at("slides").replaceChildren(...found.slice(0, 1000).map(listItem));
}
function listItem(one) {
  const item = make("li", null, { "data-number": one.number, tabindex: 0, "aria-current": one.number === view.number });
  item.append(make("b", one.slide), make("div", [one.patient, one.timepoint, one.status.replaceAll("_", " ")].filter(Boolean).join(" · "), { class: "small" }));
  if (one.locked) item.append(make("div", "not read by you yet", { class: "small" }));
  else for (const score of clinical(one.scores)) item.append(make("div", scoreText(score), { class: "small" }));
  const flags = [one.contradiction && "contradiction", one.corrected && "corrected", !one.locked && one.doubt > 0 && `moves by ${short(one.doubt)} with the cut`].filter(Boolean);
  if (flags.length) item.append(make("div", flags.join(" · "), { class: "small flag" }));
  item.onclick = () => openSlide(one.number);
  item.onkeydown = (event) => { if (event.key === "Enter") openSlide(one.number); };
  return item;
}
const CLINICAL = ["tps", "cps", "tc_percent", "ic_percent", "urothelial_high", "tap_like"];
function clinical(scores) {
  const found = scores.filter((one) => CLINICAL.includes(one.score));
  return found.length ? found : scores.slice(0, 1);
}
function scoreText(one) {
  if (one.value === null) return `${one.score}: – (${one.reason})`;
  return `${one.score}: ${short(one.value)} ${one.unit}` + (one.ci_low === null ? "" : ` (${short(one.ci_low)} to ${short(one.ci_high)})`);
}

// -- one slide ---
async function openSlide(number) {
  if (!reader() && view.blinded) { say("Enter your name first."); at("reader").focus(); return; }
  view.number = number; view.cells = null;
  const info = await ask(`api/slide/${number}`);
  showMap(info);
  await showSlide(info);
  showList();
}
async function showSlide(info) {
  const unlocked = !info.locked && (view.info === null || view.info.number !== info.number || view.info.locked || view.cells === null);
  const changed = view.info && JSON.stringify(view.info.corrections) !== JSON.stringify(info.corrections);
  view.info = info;
  if (info.locked) { view.cells = null; if (view.layer) view.layer.setCells(null, info.image.max_zoom || 0); }
  else if (unlocked || changed) await loadCells();
  showSide();
}
async function loadCells() {
  const number = view.number;
  let buffer;
  try { buffer = await ask(`api/slide/${number}/cells`); } catch { return; }
  if (number !== view.number) return;
  view.cells = readCells(buffer);
  view.layer.setCells(view.cells, view.info.image.max_zoom || view.map.getMaxZoom() - 3);
  const legends = [...new Set(view.cells.kinds.map((one) => one.legend))];
  at("only").replaceChildren(make("option", "all cells", { value: "" }), ...legends.map((one) => make("option", one, { value: one })));
  at("only").value = legends.includes(view.only) ? view.only : "";
  showLegend();
}
function showLegend() {
  at("legend").replaceChildren(...(view.cells ? view.cells.kinds : []).map((one) => {
    const row = make("div"), dot = make("i");
    dot.style.background = `rgb(${one.colour})`;
    row.append(dot, one.legend);
    return row;
  }));
  if (view.cells && view.layer.drawn > 1) at("legend").append(make("div", `1 of ${view.layer.drawn} cells drawn: zoom in for all`));
}
function showMap(info) {
  if (view.map) view.map.remove();
  document.querySelector(".scale")?.remove();
  const image = info.image, known = image && image.width, zoom = known ? image.max_zoom : 6, scale = 2 ** zoom;
  view.scale = scale;
  view.map = L.map("map", { crs: L.CRS.Simple, minZoom: 0, maxZoom: zoom + 3, attributionControl: false, zoomSnap: 0, wheelPxPerZoomLevel: 90 });
  const bounds = known ? L.latLngBounds([-image.height / scale, 0], [0, image.width / scale]) : L.latLngBounds([-256, 0], [0, 256]);
  if (known) view.tiles = L.tileLayer(`tile/${info.number}/{z}/{x}/{y}.jpg`, { maxNativeZoom: zoom, maxZoom: zoom + 3, bounds, noWrap: true, keepBuffer: 4 }).addTo(view.map);
  else say(image ? image.problem : "no image");
  view.map.fitBounds(bounds);
  view.map.setMaxBounds(bounds.pad(0.5));
  view.layer = new CellLayer().addTo(view.map);
  view.layer.setShown(view.shown, view.only);
  view.layer.on("drawn", showLegend);
  const bar = make("div", null, { class: "scale" });
  at("map").parentElement.append(bar);
  const measure = () => scaleBar(bar, info);
  view.map.on("zoomend moveend", measure);
  measure();
  useTool(view.tool);
}
function scaleBar(bar, info) {
  const mpp = info.image && info.image.mpp;
  if (!mpp) { bar.hidden = true; return; }
  const umPerPx = mpp / 2 ** (view.map.getZoom() - Math.log2(view.scale)), aim = 120 * umPerPx;
  const step = 10 ** Math.floor(Math.log10(aim)), length = [5, 2, 1].map((m) => m * step).find((one) => one <= aim);
  bar.style.width = `${length / umPerPx}px`;
  bar.textContent = length >= 1000 ? `${length / 1000} mm` : `${length} µm`;
}
const placeOf = (event) => { const { lat, lng } = event.latlng; return [lng * view.scale, -lat * view.scale]; };

// -- drawing ---
function useTool(tool) {
  view.tool = tool;
  document.querySelectorAll(".tool").forEach((one) => one.setAttribute("aria-pressed", one.dataset.tool === tool));
  at("map").className = at("map").className.replace(/\b(click|lasso|region)\b/g, "").trim() + (tool === "pan" ? "" : ` ${tool}`);
  if (!view.map) return;
  const map = view.map;
  map.off("mousedown mousemove mouseup click");
  map.dragging[tool === "lasso" || tool === "region" ? "disable" : "enable"]();
  if (tool === "click") map.on("click", correctOne);
  if (tool !== "lasso" && tool !== "region") return;
  let ring = null, line = null;
  map.on("mousedown", (event) => { ring = [placeOf(event)]; line = L.polyline([event.latlng], { color: "#d5008f", weight: 2 }).addTo(map); });
  map.on("mousemove", (event) => { if (ring) { ring.push(placeOf(event)); line.addLatLng(event.latlng); } });
  map.on("mouseup", async () => {
    const drawn = ring;
    ring = null; if (line) line.remove();
    if (!drawn || drawn.length < 3) return;
    if (tool === "region") await correct("region", { ring: drawn, name: at("name").value });
    else await correctMany(drawn);
  });
}
async function correctOne(event) {
  if (!view.cells) { say("Read the slide first."); return; }
  const [x, y] = placeOf(event), reach = Math.max(view.cells.middleRadius, 8 / 2 ** (view.map.getZoom() - Math.log2(view.scale)));
  const row = nearestCell(view.cells, x, y, reach);
  if (row < 0) { say("No cell here."); return; }
  await correct("cells", { rows: [row], name: at("name").value });
}
async function correctMany(ring) {
  if (!view.cells) { say("Read the slide first."); return; }
  const wanted = view.cells.kinds.map((one) => !view.only || one.legend === view.only);
  const rows = cellsInside(view.cells, ring).filter((row) => wanted[view.cells.kind[row]]);
  if (!rows.length) { say("No cell in there."); return; }
  await correct("cells", { rows, name: at("name").value });
}
async function correct(what, parts) { await showSlide(await ask(`api/slide/${view.number}/do/${what}`, parts)); loadList(); }

// -- the side ---
function showSide() {
  const info = view.info, parts = [make("h2", info.slide), make("div", [info.patient, info.timepoint, info.status.replaceAll("_", " ")].filter(Boolean).join(" · "), { class: "small" })];
  if (info.reason) parts.push(make("p", info.reason, { class: "small" }));
  if (!view.read_only) parts.push(make("h3", info.locked ? "Your reading (blinded)" : "Read again"), readingForm(info));
  if (info.readings.length) parts.push(make("h3", "Readings"), readingTable(info.readings));
  if (!info.locked) parts.push(...unlockedParts(info));
  at("side").replaceChildren(...parts);
}
function readingForm(info) {
  const form = make("form", null, { id: "reading" });
  const which = make("select", null, { id: "question", "aria-label": "Score" });
  const first = ["tps", "tc_percent", "cps", "ic_percent", "positive_fraction"], rank = (q) => (first.indexOf(q[1]) + first.length + 1) % (first.length + 1);
  [...info.questions].sort((a, b) => rank(a) - rank(b)).forEach(([marker, score]) => which.append(make("option", `${marker} ${score}`, { value: JSON.stringify([marker, score]) })));
  const value = make("input", null, { id: "value", type: "number", step: "any", min: 0, required: "", "aria-label": "Value" });
  form.append(which, value, make("button", "enter", { id: "enter" }));
  if (info.locked) {
    const show = make("button", "show the software's values first", { type: "button", id: "reveal", title: "Later readings of this slide are then not blinded" });
    show.onclick = async () => { await showSlide(await ask(`api/slide/${view.number}/do/reveal`, {})); loadList(); };
    form.append(show);
  }
  form.onsubmit = async (event) => {
    event.preventDefault();
    const [marker, score] = JSON.parse(which.value);
    await showSlide(await ask(`api/slide/${view.number}/do/read`, { marker, score, value: Number(value.value) }));
    loadList();
  };
  return form;
}
function readingTable(readings) {
  const table = make("table", null, { id: "readings" });
  readings.forEach((one) => {
    const row = make("tr");
    row.append(make("td", one.reader), make("td", `${one.marker} ${one.score}`), make("td", short(one.value), { class: "n" }), make("td", one.blinded === "true" ? "blinded" : "not blinded", { class: "small" }));
    table.append(row);
  });
  return table;
}
function unlockedParts(info) {
  const table = make("table", null, { id: "scores" }), now = new Map((info.corrected_scores || []).map((one) => [one.score, one]));
  const head = make("tr");
  head.append(make("th", "score"), make("th", "machine"), make("th", now.size ? "corrected" : ""));
  table.append(head);
  info.scores.forEach((one) => {
    const row = make("tr", null, { "data-score": one.score }), corrected = now.get(one.score);
    row.append(make("td", one.score, { title: one.reason || "" }), make("td", one.value === null ? "–" : `${short(one.value)} ${one.unit}`, { class: "n", title: one.reason || "" }),
      make("td", !corrected ? "" : corrected.value === null ? "–" : short(corrected.value), { class: "n", title: corrected ? corrected.reason || "" : "" }));
    table.append(row);
  });
  const parts = [make("h3", "Scores"), table];
  if (info.problem) parts.push(make("p", info.problem, { class: "flag", id: "problem" }));
  if (info.n_corrected) parts.push(make("p", `${info.n_corrected} cells corrected`, { id: "n_corrected" }));
  if (info.curve.length) parts.push(...cutParts(info));
  if (info.corrections) parts.push(...signParts(info));
  return parts;
}
function cutParts(info) {
  const score = info.curve[0].score, points = info.curve.filter((one) => one.score === score), own = points.findIndex((one) => String(one.in_force).toLowerCase() === "true");
  const slider = make("input", null, { id: "cut", type: "range", min: 0, max: points.length - 1, step: 1, value: Math.max(own, 0), "aria-label": "1+ cut" });
  const told = make("p", null, { class: "small", id: "cut_told" });
  const show = () => { const one = points[slider.value]; told.textContent = `1+ from ${short(one.dab_od)} OD: ${score} ${short(one.value)}`; };
  slider.oninput = show; show();
  const accept = make("button", "set this cut", { id: "set_cut" });
  accept.disabled = view.read_only;
  accept.onclick = () => correct("cut", { cut_od: points[slider.value].dab_od });
  return [make("h3", "Cut"), slider, told, accept];
}
function signParts(info) {
  const told = info.corrections, gone = new Set(told.undone.map((one) => one.action)), list = make("table", null, { id: "actions" });
  told.actions.forEach((one) => {
    const row = make("tr");
    row.append(make("td", one.author), make("td", one.what), make("td", gone.has(one.action) ? "undone" : one.time.slice(0, 16).replace("T", " "), { class: "small" }));
    list.append(row);
  });
  told.signatures.forEach((one) => {
    const row = make("tr", null, { class: "signed" });
    row.append(make("td", one.author), make("td", `${one.decision}${one.remark ? `: ${one.remark}` : ""}`), make("td", one.time.slice(0, 16).replace("T", " "), { class: "small" }));
    list.append(row);
  });
  const remark = make("textarea", null, { id: "remark", placeholder: "remark", maxlength: 2000 });
  const buttons = ["accepted", "rejected"].map((decision) => {
    const button = make("button", decision === "accepted" ? "sign off" : "reject", { id: `sign_${decision}` });
    button.disabled = view.read_only;
    button.onclick = () => correct("sign", { decision, remark: remark.value });
    return button;
  });
  const row = make("form"); row.onsubmit = (event) => event.preventDefault(); row.append(...buttons);
  return [make("h3", "Corrections"), list, make("h3", "Sign off"), remark, row];
}

at("name").replaceChildren(...CLASSES.map((one) => make("option", one, { value: one })));
at("search").oninput = showList;
at("order").onchange = showList;
at("reader").onchange = async () => { sessionStorage.setItem("reader", reader()); await loadList(); if (view.number !== null) openSlide(view.number); };
at("outlines").onclick = () => { view.shown = !view.shown; at("outlines").setAttribute("aria-pressed", view.shown); view.layer?.setShown(view.shown, view.only); };
at("only").onchange = () => { view.only = at("only").value; view.layer?.setShown(view.shown, view.only); };
at("undo").onclick = () => view.number === null ? say("Choose a slide.") : correct("undo", {});
document.querySelectorAll(".tool").forEach((one) => { one.onclick = () => useTool(one.dataset.tool); });
at("reader").value = sessionStorage.getItem("reader") || "";
loadList().then(() => { document.body.dataset.ready = "1"; });
