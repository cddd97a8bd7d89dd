// One picture frame on the screen: draws the current slice, and what a hand does to it.

import { letters } from "./image.js";

const CORNERS = ["who", "what", "where", "how"];

export class Pane {
  constructor(root, words, hands) {
    this.root = root;
    this.words = words;
    this.hands = hands; // the tool in hand, and whom to tell
    this.canvas = root.querySelector("canvas");
    this.slider = root.querySelector("input[type=range]");
    this.notice = root.querySelector(".notice");
    this.corners = Object.fromEntries(CORNERS.map((name) => [name, root.querySelector(`.${name}`)]));
    this.sides = Object.fromEntries(["left", "right", "top", "bottom"].map((name) => [name, root.querySelector(`.side.${name}`)]));
    this.sheet = document.createElement("canvas");
    this.series = null;
    this.at = 0;
    this.reset();
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  reset() {
    Object.assign(this, { zoom: 1, panX: 0, panY: 0, window: null, preset: "", inverted: false, lines: [] });
    this.draw();
  }

  show(series) {
    if (this.series === series) return;
    this.series?.close();
    this.series = series;
    this.reset();
    this.at = series.middle;
    this.chosen = series.slots[this.at];
    series.load();
    this.update();
  }

  get slot() {
    return this.series?.slots[this.at];
  }

  get image() {
    return this.slot?.image ?? null;
  }

  // something arrived: the slice that was looked at stays under the eye, wherever it now stands
  update() {
    if (!this.series) return;
    const { slots } = this.series;
    const place = this.chosen ? slots.findIndex((slot) => slot.uid === this.chosen.uid && slot.frame === this.chosen.frame) : -1;
    this.at = Math.min(Math.max(place >= 0 ? place : this.at, 0), slots.length - 1);
    this.slider.max = Math.max(0, slots.length - 1);
    this.draw();
  }

  // true where it moved
  go(to, { told = false } = {}) {
    if (!this.series) return false;
    const next = Math.min(Math.max(Math.round(to), 0), this.series.slots.length - 1);
    if (next === this.at) return false;
    const from = this.at;
    this.at = next;
    this.chosen = this.slot;
    if (!this.slot.image) this.series.want(this.slot);
    this.draw();
    if (!told) this.hands.moved(this, from);
    return true;
  }

  // ---- drawing ----

  draw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.paint();
      this.say();
    });
  }

  paint() {
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const context = this.canvas.getContext("2d");
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    const { image } = this;
    if (!image) return;
    this.develop(image);
    const { scale, x, y } = this.layout();
    context.imageSmoothingEnabled = scale * ratio < 6;
    context.imageSmoothingQuality = "high";
    context.setTransform(scale * ratio, 0, 0, scale * image.tallness * ratio, x * ratio, y * ratio);
    context.drawImage(this.sheet, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.paintLines(context);
  }

  // the slice in its own size, windowed
  develop(image) {
    const key = `${this.window} ${this.inverted}`;
    if (this.developed === image && this.developedAs === key) return;
    this.sheet.width = image.columns;
    this.sheet.height = image.rows;
    const context = this.sheet.getContext("2d");
    const target = context.createImageData(image.columns, image.rows);
    image.paint(target, this.window, this.inverted);
    context.putImageData(target, 0, 0);
    this.developed = image;
    this.developedAs = key;
  }

  // pixels of the screen for one column, and where the first pixel stands
  layout() {
    const { image } = this;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const tall = image.rows * image.tallness;
    const scale = Math.min(width / image.columns, height / tall) * this.zoom;
    return { scale, x: (width - image.columns * scale) / 2 + this.panX, y: (height - tall * scale) / 2 + this.panY };
  }

  // from the screen to the picture, in columns and rows
  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const { scale, x, y } = this.layout();
    return [(event.clientX - box.left - x) / scale, (event.clientY - box.top - y) / (scale * this.image.tallness)];
  }

  paintLines(context) {
    const { scale, x, y } = this.layout();
    const { image } = this;
    context.lineWidth = 1.5;
    context.font = "600 13px system-ui, sans-serif";
    for (const line of this.lines.filter((one) => one.image === image)) {
      const ends = line.ends.map(([column, row]) => [column * scale + x, row * scale * image.tallness + y]);
      context.strokeStyle = context.fillStyle = "#ffd66b";
      context.beginPath();
      context.moveTo(...ends[0]);
      context.lineTo(...ends[1]);
      context.stroke();
      for (const [a, b] of ends) context.fillRect(a - 2.5, b - 2.5, 5, 5);
      const text = this.length(line);
      const [a, b] = [ends[1][0] + 8, ends[1][1] - 8];
      context.fillStyle = "#000c";
      context.fillRect(a - 4, b - 13, context.measureText(text).width + 8, 18);
      context.fillStyle = "#ffd66b";
      context.fillText(text, a, b);
    }
  }

  // in millimetres where the picture says how large its pixels are, else in pixels, and said so
  length({ image, ends: [[a, b], [c, d]] }) {
    if (!image.spacing) return `${number(Math.hypot(c - a, d - b), this.words)} px`;
    const [row, column] = image.spacing;
    const millimetres = Math.hypot((c - a) * column, (d - b) * row);
    return `${number(millimetres, this.words)} mm${image.atDetector ? ` (${this.words.detector})` : ""}`;
  }

  // ---- what stands beside the picture ----

  say() {
    const { series, image, slot, words } = this;
    if (!series) return;
    this.slider.value = this.at;
    this.slider.setAttribute("aria-valuetext", words.slice.replace("{n}", this.at + 1).replace("{of}", series.slots.length));
    const { study } = series;
    this.corners.who.textContent = image ? [study.place, study.day].filter(Boolean).join("\n") : "";
    this.corners.what.textContent = image ? [image.patient, series.about.description || series.about.modality].filter(Boolean).join("\n") : "";
    this.corners.where.textContent = [
      words.slice.replace("{n}", this.at + 1).replace("{of}", series.slots.length),
      image?.along !== null && image ? `${number(image.along, words)} mm` : "",
      series.about.thickness ? `${words.thickness} ${series.about.thickness} mm` : "",
    ].filter(Boolean).join("\n");
    const [centre, width] = image?.isGrey ? this.window ?? image.ownWindow : [];
    this.corners.how.textContent = [image?.isGrey ? `W ${Math.round(width)}  L ${Math.round(centre)}` : "", this.hover ?? "", `×${number(this.zoom, words)}`].filter(Boolean).join("\n");
    const sides = letters(image?.orientation);
    for (const [name, element] of Object.entries(this.sides)) element.textContent = sides?.[name] ?? "";
    this.sayState(series, slot);
    this.canvas.setAttribute("aria-label", [study.title, study.place, this.corners.where.textContent.split("\n")[0]].filter(Boolean).join(", "));
    // for whoever drives this page from outside
    Object.assign(this.root.dataset, { at: this.at, loaded: series.loaded, total: series.total, state: series.state, drawn: image ? image.uid : "" });
    this.root.querySelector("progress").value = series.loaded / series.total;
    this.root.classList.toggle("loading", series.state === "loading");
  }

  sayState(series, slot) {
    const { words } = this;
    const stopped = ["gone", "silent", "broken", "ended", "busy"].includes(series.state);
    const text = stopped
      ? words[series.state].replace("{n}", series.loaded).replace("{of}", series.total)
      : slot?.problem
        ? `${words.undrawable} (${slot.problem})`
        : slot && !slot.image
          ? words.waiting
          : series.state === "full"
            ? words.full.replace("{n}", series.loaded).replace("{of}", series.total)
            : "";
    if (this.told !== text) this.notice.querySelector("p").textContent = this.told = text;
    this.notice.hidden = !text;
    this.notice.classList.toggle("stopped", stopped);
    this.notice.querySelector("button").hidden = !["silent", "broken", "busy"].includes(series.state);
  }

  // ---- hands ----

  listen() {
    const { canvas } = this;
    this.pointers = new Map();
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) canvas.addEventListener(name, (event) => this.up(event));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", () => this.reset());
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    this.notice.querySelector("button").addEventListener("click", () => this.series.resume());
  }

  wheel(event) {
    event.preventDefault();
    this.hands.active(this);
    if (event.ctrlKey) return this.zoomBy(Math.exp(-event.deltaY / 300));
    this.rolled = (this.rolled ?? 0) + event.deltaY / (event.deltaMode ? 1 : 60);
    const steps = Math.trunc(this.rolled) || (Math.abs(event.deltaY) >= 50 ? Math.sign(event.deltaY) : 0);
    if (!steps) return;
    this.rolled = 0;
    this.go(this.at + Math.sign(steps) * Math.min(3, Math.abs(steps)));
  }

  down(event) {
    this.hands.active(this);
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (!this.image) return;
    this.dragging = { tool: toolOf(event, this.hands.tool()), from: this.at, window: this.window ?? this.image.ownWindow, moved: 0 };
    if (this.dragging.tool === "measure" && this.pointers.size === 1) {
      this.dragging.line = { image: this.image, ends: [this.point(event), this.point(event)] };
      this.lines.push(this.dragging.line);
    }
  }

  move(event) {
    if (this.image && !this.pointers.size) this.hoverAt(event);
    const before = this.pointers.get(event.pointerId);
    if (!before || !this.dragging || !this.image) return;
    const [x, y] = [event.clientX, event.clientY];
    const [dx, dy] = [x - before[0], y - before[1]];
    if (this.pointers.size === 2) this.pinch(event, before, [x, y]);
    else this.drag(event, dx, dy);
    this.pointers.set(event.pointerId, [x, y]);
  }

  drag(event, dx, dy) {
    const { dragging } = this;
    dragging.moved += dy;
    if (dragging.tool === "scroll") {
      const step = Math.max(3, this.canvas.clientHeight / (1.5 * this.series.slots.length));
      this.go(dragging.from + Math.trunc(dragging.moved / step));
    } else if (dragging.tool === "pan") this.shift(dx, dy);
    else if (dragging.tool === "zoom") this.zoomBy(Math.exp(-dy / 150));
    else if (dragging.tool === "measure") {
      dragging.line.ends[1] = this.point(event);
      this.draw();
    } else if (this.image.isGrey) {
      const speed = Math.max(0.5, dragging.window[1] / 400);
      const [centre, width] = this.window ?? dragging.window;
      this.setWindow([centre + dy * speed, Math.max(1, width + dx * speed)], "");
    }
  }

  pinch(event, before, now) {
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
    const apart = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
    this.dragging.tool = "pinch";
    this.zoomBy(apart(now) / apart(before));
    this.shift((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  }

  up(event) {
    const { line } = this.dragging ?? {};
    if (line && Math.hypot(line.ends[1][0] - line.ends[0][0], line.ends[1][1] - line.ends[0][1]) < 1) this.lines.pop();
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.dragging = null;
    if (event.type === "pointerleave") this.hover = "";
    this.draw();
  }

  hoverAt(event) {
    const [column, row] = this.point(event).map(Math.floor);
    const value = this.image.valueAt(column, row);
    const unit = this.image.modality === "CT" ? " HU" : "";
    const text = value === null ? "" : `${Math.round(value)}${unit}`;
    if (text !== this.hover) {
      this.hover = text;
      this.draw();
    }
  }

  zoomBy(factor) {
    this.zoom = Math.min(20, Math.max(0.2, this.zoom * factor));
    this.draw();
  }

  shift(dx, dy) {
    this.panX += dx;
    this.panY += dy;
    this.draw();
  }

  setWindow(window, preset) {
    this.window = window;
    this.preset = preset;
    this.hands.windowed(this);
    this.draw();
  }
}

function toolOf(event, chosen) {
  if (event.pointerType === "mouse" && event.button === 2) return "zoom";
  if (event.pointerType === "mouse" && event.button === 1) return "pan";
  return chosen;
}

function number(value, words) {
  return value.toFixed(1).replace(".", words.comma);
}
