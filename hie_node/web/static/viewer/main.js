// The viewer: which studies, which series in which pane, which tool. It knows nothing but what this page was given.

import { Pane } from "./pane.js";
import { Series } from "./series.js";

const PRESETS = { brain: [40, 80], abdomen: [50, 400], lung: [-600, 1500], bone: [400, 1800], vessel: [200, 700] };
const root = document.getElementById("viewer");
const words = JSON.parse(root.dataset.words);

class Study {
  constructor(told) {
    Object.assign(this, told);
    this.series = [];
  }

  async list() {
    const reply = await fetch(`/studies/${this.uid}/list?v=${this.viewing}`, { cache: "no-store", redirect: "error" });
    if (!reply.ok) return reply.status;
    const told = await reply.json();
    this.viewing = told.viewing;
    this.title ||= told.description;
    if (!this.series.length) this.series = told.series.filter((one) => one.images.length).map((one) => new Series(this, one, update));
    return 200;
  }

  // whether it may still be seen: decided again by whoever holds it
  async status() {
    try {
      return await this.list();
    } catch {
      return 0;
    }
  }
}

const studies = JSON.parse(root.dataset.studies).map((told) => new Study(told));
let tool = matchMedia("(pointer: coarse)").matches ? "scroll" : "window";
let active = null;
let synced = false;
let playing = 0;

const hands = {
  tool: () => tool,
  active(pane) {
    if (active === pane) return;
    active = pane;
    for (const one of panes) one.root.classList.toggle("active", one === pane);
    mark();
  },
  windowed: () => mark(),
  moved(pane, from) {
    if (synced) follow(pane, from);
  },
};
const panes = [...root.querySelectorAll(".pane")].map((element) => new Pane(element, words, hands));
hands.active(panes[0]);

function update() {
  for (const pane of panes) pane.update();
}

// ---- two panes that move together ----

function follow(leader, from) {
  for (const pane of panes) {
    if (pane === leader || !pane.series || pane.root.hidden) continue;
    const there = sameSpace(leader.image, pane.image) ? nearest(pane, leader.image.along) : null;
    if (there !== null) pane.go(there, { told: true });
    else pane.go(pane.at + inMillimetres(leader, from, pane), { told: true });
  }
}

// one scanner's coordinates: the same frame of reference, cut in the same direction
function sameSpace(one, other) {
  return Boolean(one?.frame && other && one.frame === other.frame && one.along !== null && other.along !== null)
    && one.orientation.every((value, at) => Math.abs(value - other.orientation[at]) < 0.02);
}

function nearest(pane, along) {
  let best = null, distance = Infinity;
  pane.series.slots.forEach((slot, at) => {
    const apart = slot.image && slot.image.along !== null ? Math.abs(slot.image.along - along) : Infinity;
    if (apart < distance) [best, distance] = [at, apart];
  });
  return best;
}

// as many slices as make the same way through the body, where both say how far their slices lie apart
function inMillimetres(leader, from, pane) {
  const steps = leader.at - from;
  const [mine, theirs] = [apart(leader.series), apart(pane.series)];
  if (!mine || !theirs) return steps;
  pane.rest = (pane.rest ?? 0) + (steps * mine) / theirs;
  const whole = Math.round(pane.rest);
  pane.rest -= whole;
  return whole;
}

function apart({ slots }) {
  const placed = slots.filter((slot) => slot.image && slot.image.along !== null);
  if (placed.length < 2 || placed.length !== slots.length) return 0;
  return (placed.at(-1).image.along - placed[0].image.along) / (placed.length - 1);
}

// ---- series ----

function offer() {
  const list = root.querySelector(".series");
  list.replaceChildren();
  for (const study of studies) {
    const head = document.createElement("li");
    head.className = "study";
    head.textContent = [study.title, study.place, study.day].filter(Boolean).join(" · ");
    list.append(head, ...study.series.map((series) => entry(series)));
  }
  thumbnails(studies.flatMap((study) => study.series));
}

function entry(series) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  const picture = document.createElement("canvas");
  picture.width = picture.height = 96;
  series.thumbnail = picture;
  const text = document.createElement("span");
  const { about } = series;
  text.textContent = [about.description || about.modality, words.images.replace("{n}", about.images.length), about.thickness ? `${about.thickness} mm` : "", about.contrast].filter(Boolean).join("\n");
  button.append(picture, text);
  button.addEventListener("click", () => put(series, active));
  series.button = button;
  item.append(button);
  return item;
}

// small pictures come after the first large one, two at a time
async function thumbnails(list) {
  const rest = [...list];
  const work = async () => {
    for (let series = rest.shift(); series; series = rest.shift()) {
      try {
        const reply = await fetch(`/studies/${series.study.uid}/series/${series.about.uid}/thumbnail?v=${series.study.viewing}`, { redirect: "error" });
        if (!reply.ok) continue;
        const bitmap = await createImageBitmap(await reply.blob());
        const { width, height } = series.thumbnail;
        const scale = Math.min(width / bitmap.width, height / bitmap.height);
        const [w, h] = [bitmap.width * scale, bitmap.height * scale];
        series.thumbnail.getContext("2d").drawImage(bitmap, (width - w) / 2, (height - h) / 2, w, h);
      } catch {
        // a series without its small picture can be opened all the same
      }
    }
  };
  await Promise.all([work(), work()]);
}

function put(series, pane) {
  if (panes.some((one) => one !== pane && one.series === series)) return;
  pane.show(series);
  mark();
}

// ---- tools ----

function mark() {
  for (const button of root.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
  for (const button of root.querySelectorAll("[data-preset]")) button.setAttribute("aria-pressed", String(button.dataset.preset === active?.preset));
  press("invert", active?.inverted);
  press("sync", synced);
  press("play", Boolean(playing));
  press("split", !panes[1].root.hidden);
  root.querySelector("[data-do=sync]").disabled = panes[1].root.hidden;
  for (const study of studies) for (const { button } of study.series) button.setAttribute("aria-pressed", "false");
  for (const pane of panes) if (!pane.root.hidden) pane.series?.button.setAttribute("aria-pressed", "true");
}

function press(name, on) {
  root.querySelector(`[data-do=${name}]`).setAttribute("aria-pressed", String(Boolean(on)));
}

function use(preset) {
  active.setWindow(PRESETS[preset] ?? null, preset);
}

const does = {
  invert() {
    active.inverted = !active.inverted;
    active.draw();
  },
  fit: () => active.reset(),
  clear() {
    active.lines = [];
    active.draw();
  },
  split() {
    panes[1].root.hidden = !panes[1].root.hidden;
    root.classList.toggle("two", !panes[1].root.hidden);
    if (panes[1].root.hidden) {
      synced = false;
      panes[1].series?.close();
      panes[1].series = null;
      hands.active(panes[0]);
    } else {
      const other = studies.flatMap((study) => study.series).find((series) => series !== panes[0].series);
      if (other) put(other, panes[1]);
      hands.active(panes[1]);
    }
  },
  sync() {
    synced = !synced;
    panes[1].rest = panes[0].rest = 0;
  },
  play() {
    clearInterval(playing);
    if (playing) {
      playing = 0;
      return;
    }
    const pane = active;
    const rate = Math.min(30, Math.max(2, pane.image?.rate || 10));
    playing = setInterval(() => pane.go((pane.at + 1) % pane.series.slots.length), 1000 / rate);
  },
  report() {
    const panel = document.getElementById("report");
    panel.hidden = !panel.hidden;
    root.classList.toggle("reading", !panel.hidden);
  },
};

root.addEventListener("click", (event) => {
  const button = event.target.closest("[data-tool], [data-preset], [data-do]");
  if (!button) return;
  if (button.dataset.tool) tool = button.dataset.tool;
  if (button.dataset.preset !== undefined) use(button.dataset.preset);
  if (button.dataset.do) does[button.dataset.do]();
  mark();
});

const keys = {
  ArrowUp: () => active.go(active.at - 1), ArrowLeft: () => active.go(active.at - 1),
  ArrowDown: () => active.go(active.at + 1), ArrowRight: () => active.go(active.at + 1),
  PageUp: () => active.go(active.at - 10), PageDown: () => active.go(active.at + 10),
  Home: () => active.go(0), End: () => active.go(active.series.slots.length - 1),
  "+": () => active.zoomBy(1.25), "-": () => active.zoomBy(0.8), 0: () => active.reset(),
  i: does.invert, " ": does.play, r: does.report,
  1: () => use("brain"), 2: () => use("abdomen"), 3: () => use("lung"), 4: () => use("bone"), 5: () => use("vessel"), 6: () => use(""),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("button, a, input, iframe") && [" ", "Enter"].includes(event.key)) return;
  if (event.target.matches("input")) return;
  const key = keys[event.key];
  if (!key || !active?.series) return;
  event.preventDefault();
  key();
  mark();
});

// ---- the report beside the pictures ----

async function reports() {
  const panel = document.getElementById("report");
  for (const place of panel?.querySelectorAll("[data-report]") ?? []) {
    const reply = await fetch(place.dataset.report, { headers: { "Answer-Part": "1" }, redirect: "error" });
    if (reply.ok) place.innerHTML = await reply.text();
    else place.querySelector("p").textContent = words.noReport;
  }
}

// ---- beginning ----

function refusal(status) {
  return words[{ 401: "ended", 403: "ended", 404: "gone", 502: "silent", 504: "silent" }[status] ?? "broken"].replace("{n}", 0).replace("{of}", "?");
}

async function begin() {
  root.hidden = false;
  const statuses = await Promise.all(studies.map((study) => study.status()));
  offer();
  studies.forEach((study, at) => {
    const pane = panes[at];
    const first = study.series.find((series) => series.about.images.length > 2) ?? study.series[0];
    if (first) put(first, pane);
    else {
      pane.notice.hidden = false;
      pane.notice.classList.add("stopped");
      pane.notice.querySelector("p").textContent = statuses[at] === 200 ? words.empty : refusal(statuses[at]);
    }
  });
  if (studies.length > 1) {
    panes[1].root.hidden = false;
    root.classList.add("two");
    synced = true;
  }
  hands.active(panes[0]);
  mark();
  reports();
}

begin();
