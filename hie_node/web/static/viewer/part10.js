// One DICOM file as far as a picture needs it. Sources: DICOM PS3.10 section 7, PS3.5 sections 7 and A.
// Bytes of strangers: every read is inside the buffer, or the file is refused.

const LONG = new Set(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]);
const IMPLICIT = "1.2.840.10008.1.2", BIG = "1.2.840.10008.1.2.2", DEFLATED = "1.2.840.10008.1.2.1.99";
const ITEM = 0xfffee000, ITEM_END = 0xfffee00d, SEQUENCE_END = 0xfffee0dd;
const UNKNOWN = 0xffffffff, PIXELS = 0x7fe00010, DEEPEST = 12;

export class Unreadable extends Error {}

class Reader {
  constructor(bytes, { implicit = false, little = true } = {}) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.implicit = implicit;
    this.little = little;
  }

  tag(at) {
    if (at + 8 > this.bytes.length) throw new Unreadable("cut");
    return this.view.getUint16(at, this.little) * 65536 + this.view.getUint16(at + 2, this.little);
  }

  // where the value of the element at `at` begins, and how long it is
  head(at) {
    const tag = this.tag(at);
    if (this.implicit || tag >= 0xfffe0000) return { tag, vr: "", from: at + 8, length: this.view.getUint32(at + 4, this.little) };
    const vr = String.fromCharCode(this.bytes[at + 4], this.bytes[at + 5]);
    if (!LONG.has(vr)) return { tag, vr, from: at + 8, length: this.view.getUint16(at + 6, this.little) };
    if (at + 12 > this.bytes.length) throw new Unreadable("cut");
    return { tag, vr, from: at + 12, length: this.view.getUint32(at + 8, this.little) };
  }

  // the elements from `at` to `end`, sequences as lists of data sets; stops at the pixels
  elements(at, end, depth = 0) {
    if (depth > DEEPEST) throw new Unreadable("too deep");
    const found = new Map();
    while (at < end) {
      const one = this.head(at);
      if (one.tag === ITEM_END) return { found, at: one.from };
      if (one.tag === PIXELS) {
        found.set(one.tag, one);
        return { found, at: one.from };
      }
      const within = one.length === UNKNOWN || one.vr === "SQ";
      if (within) {
        const read = this.items(one, depth);
        found.set(one.tag, { ...one, items: read.items });
        at = read.at;
        continue;
      }
      if (one.from + one.length > this.bytes.length) throw new Unreadable("cut");
      found.set(one.tag, one);
      at = one.from + one.length;
    }
    return { found, at };
  }

  items({ from, length }, depth) {
    const items = [];
    const end = length === UNKNOWN ? this.bytes.length : Math.min(this.bytes.length, from + length);
    let at = from;
    while (at < end) {
      const one = this.head(at);
      if (one.tag === SEQUENCE_END) return { items, at: one.from };
      if (one.tag !== ITEM) throw new Unreadable("no item");
      const stop = one.length === UNKNOWN ? this.bytes.length : one.from + one.length;
      const read = this.elements(one.from, stop, depth + 1);
      items.push(new DataSet(this, read.found));
      at = one.length === UNKNOWN ? read.at : stop;
    }
    return { items, at };
  }
}

export class DataSet {
  constructor(reader, elements) {
    this.reader = reader;
    this.elements = elements;
  }

  has(tag) {
    return this.elements.has(tag);
  }

  raw(tag) {
    const one = this.elements.get(tag);
    return one && !one.items ? this.reader.bytes.subarray(one.from, one.from + one.length) : null;
  }

  text(tag) {
    const raw = this.raw(tag);
    if (!raw) return "";
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(raw).replace(/[\0 ]+$/, "").trim();
    } catch {
      return new TextDecoder("latin1").decode(raw).replace(/[\0 ]+$/, "").trim();
    }
  }

  // decimal and integer strings; what is no number is left out
  numbers(tag) {
    const text = this.text(tag);
    return text ? text.split("\\").map(Number).filter(Number.isFinite) : [];
  }

  short(tag, otherwise = 0) {
    const one = this.elements.get(tag);
    return one && one.length >= 2 ? this.reader.view.getUint16(one.from, this.reader.little) : otherwise;
  }

  shorts(tag) {
    const one = this.elements.get(tag);
    const found = [];
    for (let at = 0; one && at + 2 <= one.length; at += 2) found.push(this.reader.view.getUint16(one.from + at, this.reader.little));
    return found;
  }

  items(tag) {
    return this.elements.get(tag)?.items ?? [];
  }
}

export async function read(bytes) {
  if (bytes.length < 140 || String.fromCharCode(...bytes.subarray(128, 132)) !== "DICM") throw new Unreadable("not DICOM");
  const start = new Reader(bytes);
  const meta = new Map();
  let at = 132;
  while (at + 8 <= bytes.length && start.tag(at) >>> 16 === 2) {
    const one = start.head(at);
    meta.set(one.tag, one);
    at = one.from + one.length;
  }
  const syntax = new DataSet(start, meta).text(0x00020010);
  if (syntax === DEFLATED) {
    bytes = await inflated(bytes.subarray(at));
    at = 0;
  }
  const reader = new Reader(bytes, { implicit: syntax === IMPLICIT, little: syntax !== BIG });
  const data = new DataSet(reader, reader.elements(at, bytes.length).found);
  return { syntax, data, little: reader.little, pixels: pixelsOf(reader, data) };
}

async function inflated(bytes) {
  const flow = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(flow).arrayBuffer());
}

// the bytes of uncompressed pixels, or the fragments of compressed ones
function pixelsOf(reader, data) {
  const one = data.elements.get(PIXELS);
  if (!one) return null;
  if (one.length !== UNKNOWN) {
    if (one.from + one.length > reader.bytes.length) throw new Unreadable("cut");
    return { bytes: reader.bytes.subarray(one.from, one.from + one.length) };
  }
  const fragments = [];
  for (let at = one.from; at < reader.bytes.length; ) {
    const part = reader.head(at);
    if (part.tag === SEQUENCE_END) break;
    if (part.tag !== ITEM || part.from + part.length > reader.bytes.length) throw new Unreadable("cut");
    fragments.push({ at: at - one.from, bytes: reader.bytes.subarray(part.from, part.from + part.length) });
    at = part.from + part.length;
  }
  return { table: fragments.shift(), fragments };
}
