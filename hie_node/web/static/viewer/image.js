// Pictures out of a DICOM file: where they lie in the body, what their numbers mean, how they become grey.
// Sources: DICOM PS3.3 C.7.6.2 (plane), C.7.6.3 (pixels), C.11.1 (rescale), C.11.2 (window), C.7.6.16 (many frames).

import { Unreadable, read } from "./part10.js";

const BASELINE = "1.2.840.10008.1.2.4.50";

// every frame of the file; JPEG of 8 bits is decoded by the browser itself
export async function imagesOf(bytes) {
  const file = await read(bytes);
  const { data } = file;
  if (!file.pixels) throw new Unreadable("no picture");
  const count = Math.max(1, Math.min(10_000, data.numbers(0x00280008)[0] || 1));
  const shared = data.items(0x52009229)[0];
  const each = data.items(0x52009230);
  const about = common(data);
  const images = [];
  for (let index = 0; index < count; index += 1) {
    images.push(new Picture(about, place(data, shared, each[index]), await pixels(file, about, index, count), index));
  }
  return images;
}

function common(data) {
  const about = {
    uid: data.text(0x00080018),
    number: data.numbers(0x00200013)[0] ?? 0,
    modality: data.text(0x00080060),
    patient: named(data.text(0x00100010)),
    frame: data.text(0x00200052),
    rows: data.short(0x00280010),
    columns: data.short(0x00280011),
    samples: data.short(0x00280002, 1),
    planar: data.short(0x00280006),
    kind: data.text(0x00280004),
    allocated: data.short(0x00280100, 8),
    stored: data.short(0x00280101, 8),
    signed: data.short(0x00280103) === 1,
    rate: data.numbers(0x00082144)[0] || 1000 / (data.numbers(0x00181063)[0] || 100),
    palette: palette(data),
  };
  if (!about.rows || !about.columns || ![8, 16].includes(about.allocated)) throw new Unreadable("no picture");
  about.stored = Math.min(about.stored || about.allocated, about.allocated);
  return about;
}

// family, middle, given, as names are said here
function named(text) {
  const [family = "", given = "", middle = ""] = text.split("=")[0].split("^");
  return [family, middle, given].filter(Boolean).join(" ").trim();
}

// what may be said once for the object, for all frames, or for each
function place(data, shared, own) {
  const from = (sequence, tag) => {
    const item = own?.items(sequence)[0] ?? shared?.items(sequence)[0];
    const found = item?.numbers(tag) ?? [];
    return found.length ? found : data.numbers(tag);
  };
  const spacing = from(0x00289110, 0x00280030);
  const detector = data.numbers(0x00181164);
  return {
    slope: from(0x00289145, 0x00281053)[0] || 1,
    intercept: from(0x00289145, 0x00281052)[0] || 0,
    centre: from(0x00289132, 0x00281050)[0],
    width: from(0x00289132, 0x00281051)[0],
    position: triple(from(0x00209113, 0x00200032), 3),
    orientation: triple(from(0x00209116, 0x00200037), 6),
    spacing: pair(spacing) ?? pair(detector),
    atDetector: !pair(spacing) && Boolean(pair(detector)),
    aspect: pair(data.numbers(0x00280034)),
  };
}

const pair = (found) => (found.length === 2 && found[0] > 0 && found[1] > 0 ? found : null);
const triple = (found, count) => (found.length === count ? found : null);

async function pixels(file, about, index, count) {
  const size = about.rows * about.columns * about.samples;
  if (file.pixels.fragments) return file.syntax === BASELINE ? jpeg(file.pixels, about, index, count) : refuse(file.syntax);
  const bytes = file.pixels.bytes;
  const width = about.allocated / 8;
  const start = index * size * width;
  if (start + size * width > bytes.length) throw new Unreadable("cut");
  const frame = bytes.subarray(start, start + size * width);
  if (width === 1) return frame;
  if (file.little && frame.byteOffset % 2 === 0) return new Uint16Array(frame.buffer, frame.byteOffset, size);
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  return Uint16Array.from({ length: size }, (_, at) => view.getUint16(2 * at, file.little));
}

function refuse(syntax) {
  throw new Unreadable(syntax);
}

async function jpeg({ table, fragments }, about, index, count) {
  const mine = count === 1 ? fragments : count === fragments.length ? [fragments[index]] : between(table, fragments, index);
  const bitmap = await createImageBitmap(new Blob(mine.map((one) => one.bytes), { type: "image/jpeg" }), { colorSpaceConversion: "none" });
  if (bitmap.width !== about.columns || bitmap.height !== about.rows) throw new Unreadable("size");
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const shown = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
  bitmap.close();
  if (about.samples === 3) return new Uint32Array(shown.buffer);
  return Uint8Array.from({ length: shown.length / 4 }, (_, at) => shown[4 * at]);
}

function between(table, fragments, index) {
  const view = new DataView(table.bytes.buffer, table.bytes.byteOffset, table.bytes.byteLength);
  const first = fragments[0].at;
  const start = first + view.getUint32(4 * index, true);
  const end = 4 * index + 8 <= table.bytes.length ? first + view.getUint32(4 * index + 4, true) : Infinity;
  return fragments.filter((one) => one.at >= start && one.at < end);
}

function palette(data) {
  if (data.text(0x00280004) !== "PALETTE COLOR") return null;
  return [0, 1, 2].map((colour) => {
    const [count, first, bits] = data.shorts(0x00281101 + colour);
    const raw = data.raw(0x00281201 + colour) ?? new Uint8Array(1);
    const words = raw.length >= 2 * (count || 65536) ? data.shorts(0x00281201 + colour) : Array.from(raw);
    const shift = bits > 8 && words.some((entry) => entry > 255) ? 8 : 0;
    return (code) => words[Math.min(Math.max(code - first, 0), words.length - 1)] >> shift;
  });
}

class Picture {
  constructor(about, plane, codes, index) {
    Object.assign(this, about, plane, { codes, index });
    const o = this.orientation;
    this.normal = o && [o[1] * o[5] - o[2] * o[4], o[2] * o[3] - o[0] * o[5], o[0] * o[4] - o[1] * o[3]];
    this.along = this.normal && this.position ? dot(this.normal, this.position) : null;
  }

  get isGrey() {
    return this.samples === 1 && !this.palette;
  }

  get bytes() {
    return this.codes.byteLength;
  }

  // height of a pixel by its width
  get tallness() {
    const pair = this.spacing ?? this.aspect;
    return pair ? pair[0] / pair[1] : 1;
  }

  value(code) {
    const bits = this.stored;
    const low = code & (2 ** bits - 1);
    return (this.signed && low >= 2 ** (bits - 1) ? low - 2 ** bits : low) * this.slope + this.intercept;
  }

  valueAt(x, y) {
    const inside = x >= 0 && y >= 0 && x < this.columns && y < this.rows;
    return inside && this.isGrey ? this.value(this.codes[y * this.columns + x]) : null;
  }

  // the window that the object names, or one from its darkest to its brightest pixel
  get ownWindow() {
    if (this.width > 0 && Number.isFinite(this.centre)) return [this.centre, this.width];
    let low = Infinity, high = -Infinity;
    for (const code of this.codes) {
      const value = this.value(code);
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return [(low + high) / 2 + 0.5, high - low + 1];
  }

  // fills ImageData
  paint(target, window, inverted) {
    const out = new Uint32Array(target.data.buffer);
    if (this.isGrey) {
      const greys = this.greys(window ?? this.ownWindow, inverted);
      for (let at = 0; at < out.length; at += 1) out[at] = greys[this.codes[at]];
    } else this.colours(out);
  }

  // the shade of each code. Source: PS3.3 C.11.2.1.2.1 (linear)
  greys([centre, width], inverted) {
    const key = `${centre} ${width} ${inverted} ${this.slope} ${this.intercept}`;
    if (cached.key === key && cached.of === this.stored * 2 + this.signed && cached.greys.length === 2 ** this.allocated) return cached.greys;
    const greys = new Uint32Array(2 ** this.allocated);
    const range = Math.max(width, 2) - 1, low = centre - 0.5 - range / 2;
    const flip = (this.kind === "MONOCHROME1") !== inverted;
    for (let code = 0; code < greys.length; code += 1) {
      const grey = Math.min(255, Math.max(0, Math.round(((this.value(code) - low) / range) * 255)));
      greys[code] = 0xff000000 | ((flip ? 255 - grey : grey) * 0x010101);
    }
    cached = { key, of: this.stored * 2 + this.signed, greys };
    return greys;
  }

  colours(out) {
    const { codes } = this;
    if (codes instanceof Uint32Array) return out.set(codes);
    const step = this.planar ? 1 : 3, plane = this.planar ? out.length : 1;
    for (let at = 0; at < out.length; at += 1) {
      let [a, b, c] = this.palette
        ? this.palette.map((level) => level(codes[at]))
        : [codes[at * step], codes[at * step + plane], codes[at * step + 2 * plane]];
      if (this.kind.startsWith("YBR")) [a, b, c] = [a + 1.402 * (c - 128), a - 0.344136 * (b - 128) - 0.714136 * (c - 128), a + 1.772 * (b - 128)];
      out[at] = 0xff000000 | (byte(c) << 16) | (byte(b) << 8) | byte(a);
    }
  }
}

let cached = {};
const byte = (value) => Math.min(255, Math.max(0, Math.round(value)));
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

// the letters at left and top of a picture, and at right and bottom
export function letters(orientation) {
  if (!orientation) return null;
  const towards = (v) => {
    const names = [v[0] > 0 ? "L" : "R", v[1] > 0 ? "P" : "A", v[2] > 0 ? "H" : "F"];
    const order = [0, 1, 2].filter((n) => Math.abs(v[n]) > 0.25).sort((m, n) => Math.abs(v[n]) - Math.abs(v[m]));
    return order.map((n) => names[n]).join("");
  };
  const [row, column] = [orientation.slice(0, 3), orientation.slice(3)];
  const back = (v) => v.map((n) => -n);
  return { right: towards(row), left: towards(back(row)), bottom: towards(column), top: towards(back(column)) };
}
