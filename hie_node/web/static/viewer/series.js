// One series on its way: the middle picture at once, then all of them in one stream; what the reader waits for first.

import { imagesOf } from "./image.js";
import { parts, Refused } from "./stream.js";

const AT_ONCE = 2;
const MOST_BYTES = ((navigator.deviceMemory ?? 4) <= 2 ? 192 : 768) << 20;

export class Series {
  // `changed()` is called whenever there is something new to draw or to say
  constructor(study, about, changed) {
    this.study = study;
    this.about = about;
    this.changed = changed;
    this.slots = about.images.map((one) => ({ uid: one.uid, number: one.number ?? 0, frame: 0, image: null, problem: "" }));
    this.slots.sort((a, b) => a.number - b.number);
    this.state = "new"; // loading, done, full, or why it stopped: gone, silent, broken, ended
    this.arrived = new Set();
    this.bytes = 0;
    this.asked = new Set();
    this.stop = new AbortController();
  }

  get middle() {
    return Math.floor(this.slots.length / 2);
  }

  get loaded() {
    return this.arrived.size;
  }

  get total() {
    return this.about.images.length;
  }

  address(uid) {
    const series = `/studies/${this.study.uid}/series/${this.about.uid}/pictures`;
    return `${series}${uid ? `/${uid}` : ""}?v=${this.study.viewing}`;
  }

  async load() {
    if (this.state !== "new") return;
    this.state = "loading";
    this.changed();
    try {
      if (this.slots.length > 1) await this.one(this.slots[this.middle].uid);
      await parts(this.address(), (bytes, type) => this.take(bytes, type), this.stop.signal);
      this.finish();
    } catch (error) {
      await this.failed(error);
    }
  }

  // after a break: what has arrived is not sent again
  async resume() {
    this.stop = new AbortController();
    this.state = "loading";
    this.changed();
    const missing = this.about.images.map((one) => one.uid).filter((uid) => !this.arrived.has(uid));
    const work = async () => {
      for (let uid = missing.shift(); uid && this.state === "loading"; uid = missing.shift()) await this.one(uid);
    };
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      this.finish();
    } catch (error) {
      await this.failed(error);
    }
  }

  // the reader has come to a picture that is not here yet: it goes before the rest
  async want(slot) {
    if (slot.image || slot.problem || this.asked.has(slot.uid) || this.asked.size >= AT_ONCE) return;
    if (this.state !== "loading" && this.state !== "full") return;
    try {
      if (this.state === "full") this.forget(slot);
      await this.one(slot.uid);
    } catch (error) {
      await this.failed(error);
    }
  }

  async one(uid) {
    this.asked.add(uid);
    try {
      await parts(this.address(uid), (bytes, type) => this.take(bytes, type), this.stop.signal);
    } finally {
      this.asked.delete(uid);
    }
  }

  async take(bytes, type) {
    if (type !== "application/dicom") {
      const problem = JSON.parse(new TextDecoder().decode(bytes));
      this.put(problem.uid, null, problem.detail);
      return;
    }
    let images = null, problem = "";
    try {
      images = await imagesOf(bytes);
    } catch (error) {
      problem = String(error.message || error);
    }
    this.put(images ? images[0].uid : uidIn(bytes), images, problem);
    if (this.bytes > MOST_BYTES && this.state === "loading") this.becomeFull();
  }

  put(uid, images, problem) {
    if (this.arrived.has(uid)) return;
    const at = this.slots.findIndex((slot) => slot.uid === uid);
    if (at < 0) return; // not of this series: whatever it is, it is not shown
    this.arrived.add(uid);
    const before = this.slots[at];
    const fresh = images
      ? images.map((image, frame) => ({ ...before, image, frame, number: image.number || before.number }))
      : [{ ...before, problem: problem || "?" }];
    for (const image of images ?? []) this.bytes += image.bytes;
    this.slots.splice(at, 1, ...fresh);
    this.changed();
  }

  finish() {
    this.state = "done";
    const placed = this.slots.every((slot) => slot.image && slot.image.along !== null);
    const parallel = placed && new Set(this.slots.map((slot) => slot.image.orientation.map((n) => n.toFixed(2)).join())).size === 1;
    if (parallel) this.slots.sort((a, b) => a.image.along - b.image.along || a.number - b.number);
    this.changed();
  }

  becomeFull() {
    this.stop.abort();
    this.state = "full";
    this.stop = new AbortController();
    this.changed();
  }

  // room for one more: the pictures that are farthest away are let go and can be asked for again
  forget(near) {
    const here = this.slots.indexOf(near);
    const held = this.slots.map((slot, at) => [Math.abs(at - here), slot]).filter(([, slot]) => slot.image && slot.image.index === 0);
    held.sort((a, b) => b[0] - a[0]);
    for (const [, slot] of held.slice(0, 8)) {
      this.bytes -= slot.image.bytes;
      slot.image = null;
      this.arrived.delete(slot.uid);
    }
  }

  // the connection does not say why it ended, so the same question is asked again
  async failed(error) {
    if (error.name === "AbortError" || !["loading", "full"].includes(this.state)) return;
    let status = error instanceof Refused ? error.status : 0;
    if (!status) status = await this.study.status();
    this.state = { 401: "ended", 403: "ended", 404: "gone", 502: "silent", 503: "busy", 504: "silent" }[status] ?? "broken";
    if (this.state === "gone" || this.state === "ended") this.clear();
    this.stop.abort();
    this.changed();
  }

  // what may no longer be seen is no longer shown
  clear() {
    for (const slot of this.slots) Object.assign(slot, { image: null, problem: "" });
    this.arrived.clear();
    this.bytes = 0;
  }

  close() {
    this.stop.abort();
    if (this.state === "done" || this.state === "gone") return;
    this.clear();
    this.state = "new";
  }
}

function uidIn(bytes) {
  // (0002,0003) stands near the beginning of every file
  const text = new TextDecoder("latin1").decode(bytes.subarray(132, 1024));
  const at = text.indexOf("\x02\x00\x03\x00UI");
  return at < 0 ? "" : text.slice(at + 8, at + 8 + text.charCodeAt(at + 6)).replace(/\0+$/, "");
}
