"use strict";
// Cells on a canvas over the slide: dots while they are small, outlines once they are large enough to be seen.
const CellLayer = L.Renderer.extend({
  options: { padding: 0.2, dotBelowPx: 4, mostDots: 120000, sliceMs: 12 },

  setCells(cells, maxZoom) { this.cells = cells; this.maxZoom = maxZoom; this.redraw(); return this; },
  setShown(shown, only) { this.shown = shown; this.only = only; this.redraw(); return this; },
  redraw() { if (this._map) this._update(); },

  _initContainer() {
    this._container = document.createElement("canvas");
    this._context = this._container.getContext("2d");
    this._container.style.pointerEvents = "none";
  },
  _destroyContainer() { this._container.remove(); delete this._container; delete this._context; },
  _updatePaths() {},

  _update() {
    if (!this._map || (this._map._animatingZoom && this._bounds)) return;
    L.Renderer.prototype._update.call(this);
    const size = this._bounds.getSize(), canvas = this._container;
    L.DomUtil.setPosition(canvas, this._bounds.min);
    canvas.width = size.x; canvas.height = size.y;
    const started = performance.now();
    this.drawn = 1;
    if (this.cells && this.shown !== false) this._draw(size);
    this.fire("drawn");
    this.drawMs = performance.now() - started;
  },

  // screen = cell * scale + offset, both in pixels of the canvas
  _place() {
    const scale = 2 ** (this._map.getZoom() - this.maxZoom), origin = this._map.getPixelOrigin();
    return [scale, -origin.x - this._bounds.min.x, -origin.y - this._bounds.min.y];
  },

  // Drawn in slices of a few milliseconds, so that a slow machine pans and zooms on while a million cells appear.
  _draw(size) {
    const [scale, dx, dy] = this._place(), { kinds, middleRadius } = this.cells, margin = 40;
    const [from, to] = [this._row((-margin - dy) / scale), this._row((size.y + margin - dy) / scale)];
    const dots = middleRadius * scale < this.options.dotBelowPx;
    this.drawn = dots ? Math.max(1, Math.ceil((to - from) / this.options.mostDots)) : 1; // more would lie on each other
    if (!this._image || this._image.width !== size.x || this._image.height !== size.y) this._image = this._context.createImageData(size.x, size.y);
    const pixels = new Uint32Array(this._image.data.buffer);
    pixels.fill(0);
    const job = { size, scale, dx, dy, to, at: from, pixels, colours: this._colours(), paint: dots ? this._dot : this._ring,
      wanted: kinds.map((one) => !this.only || one.legend === this.only), wide: middleRadius * scale > 1.2 ? 3 : middleRadius * scale > 0.6 ? 2 : 1 };
    this._job = job;
    this._slice(job);
  },

  _slice(job) {
    if (this._job !== job || !this._context) return; // the view moved on
    const { kind } = this.cells, end = performance.now() + this.options.sliceMs;
    while (job.at < job.to) {
      const stop = Math.min(job.to, job.at + 2000 * this.drawn);
      for (let i = job.at; i < stop; i += this.drawn) if (job.wanted[kind[i]]) job.paint(job, this.cells, i);
      job.at = stop;
      if (performance.now() > end && job.at < job.to) { requestAnimationFrame(() => this._slice(job)); return; }
    }
    this._context.putImageData(this._image, 0, 0);
    this._job = null;
  },

  _dot({ size, scale, dx, dy, pixels, colours, wide }, { x, y, kind }, i) {
    const px = (x[i] * scale + dx) | 0, py = (y[i] * scale + dy) | 0, width = size.x;
    if (px < 0 || py < 0 || px + wide > width || py + wide > size.y) return;
    for (let b = 0; b < wide; b++) for (let a = 0; a < wide; a++) pixels[(py + b) * width + px + a] = colours[kind[i]];
  },

  // Rings are written as pixels: one path of thousands of arcs takes seconds to be drawn without a graphics card.
  _ring({ size, scale, dx, dy, pixels, colours }, { x, y, r, kind }, i) {
    const px = Math.round(x[i] * scale + dx), py = Math.round(y[i] * scale + dy), radius = Math.round(r[i] * scale);
    const width = size.x, height = size.y;
    if (px + radius < 0 || py + radius < 0 || px - radius >= width || py - radius >= height) return;
    const ring = ringOf(radius), colour = colours[kind[i]];
    for (let k = 0; k < ring.length; k += 2) {
      const a = px + ring[k], b = py + ring[k + 1];
      if (a >= 0 && b >= 0 && a < width && b < height) pixels[b * width + a] = colour;
    }
  },

  _colours() {
    return this.cells.kinds.map(({ colour: [red, green, blue] }) => (255 << 24) | (blue << 16) | (green << 8) | red);
  },

  // cells stand in order of y: the first at or below a row of the slide
  _row(value) {
    if (!this.cells.sorted) return value <= 0 ? 0 : this.cells.n;
    let low = 0, high = this.cells.n;
    while (low < high) { const middle = (low + high) >> 1; if (this.cells.y[middle] < value) low = middle + 1; else high = middle; }
    return low;
  },
});

// Offsets of a ring's pixels, two wide, by its radius in pixels
const RINGS = new Map();
function ringOf(radius) {
  let found = RINGS.get(radius);
  if (found) return found;
  const places = [];
  for (let b = -radius - 1; b <= radius + 1; b++) for (let a = -radius - 1; a <= radius + 1; a++) {
    const away = Math.hypot(a, b);
    if (away >= radius - 1 && away < radius + 1) places.push(a, b);
  }
  found = Int32Array.from(places);
  RINGS.set(radius, found);
  return found;
}

// The server's bytes: length of the heading, heading (JSON), x, y, radius (float32), kind, corrected (uint8)
function readCells(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  const take = (Kind) => { const found = new Kind(buffer, at, head.n); at += found.byteLength; return found; };
  const cells = { ...head, x: take(Float32Array), y: take(Float32Array), r: take(Float32Array), kind: take(Uint8Array), corrected: take(Uint8Array) };
  cells.sorted = true;
  for (let i = 1; i < cells.n && cells.sorted; i++) cells.sorted = cells.y[i] >= cells.y[i - 1];
  const some = Float32Array.from({ length: Math.min(cells.n, 2000) }, (_, i) => cells.r[Math.floor((i * cells.n) / Math.min(cells.n, 2000))]).sort();
  cells.middleRadius = some.length ? some[some.length >> 1] : 1;
  return cells;
}

function nearestCell(cells, x, y, reach) {
  let best = -1, least = reach * reach;
  for (let i = 0; i < cells.n; i++) {
    const away = (cells.x[i] - x) ** 2 + (cells.y[i] - y) ** 2;
    if (away < least) { least = away; best = i; }
  }
  return best;
}

function cellsInside(cells, ring) {
  const found = [];
  const xs = ring.map((p) => p[0]), ys = ring.map((p) => p[1]);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  for (let i = 0; i < cells.n; i++) {
    const x = cells.x[i], y = cells.y[i];
    if (x < left || x > right || y < top || y > bottom) continue;
    let inside = false;
    for (let a = 0, b = ring.length - 1; a < ring.length; b = a++) {
      if (ys[a] > y !== ys[b] > y && x < ((xs[b] - xs[a]) * (y - ys[a])) / (ys[b] - ys[a]) + xs[a]) inside = !inside;
    }
    if (inside) found.push(i);
  }
  return found;
}
