// Signatures on the screen: what is drawn in each field goes along as lines of points, and the node draws it on the paper.
"use strict";

const MOST = 3000, APART = 3, FEWEST = 8, SHORTEST = 100;
const form = document.querySelector("form.signing");

if (form) {
  form.hidden = false;
  const done = form.querySelector("[data-done]");
  const pads = [...form.querySelectorAll(".pad")].map((pad) => field(pad, () => { done.disabled = !pads.every((one) => one.signed()); }));
}

function field(pad, changed) {
  const canvas = pad.querySelector("canvas"), ink = canvas.getContext("2d");
  const sent = pad.querySelector("input");
  let lines = [], points = 0, way = 0;
  ink.lineWidth = 3;
  ink.lineCap = ink.lineJoin = "round";
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const within = (value, most) => Math.max(0, Math.min(most, Math.round(value)));
    return [
      within(((event.clientX - box.left) * canvas.width) / box.width, canvas.width),
      within(((event.clientY - box.top) * canvas.height) / box.height, canvas.height),
    ];
  };
  const draw = (x, y) => {
    const line = lines.at(-1), far = Math.abs(x - line.at(-2)) + Math.abs(y - line.at(-1));
    if (far < APART || points >= MOST) return;
    ink.beginPath();
    ink.moveTo(line.at(-2), line.at(-1));
    ink.lineTo(x, y);
    ink.stroke();
    line.push(x, y);
    points += 1;
    way += far;
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    if (points >= MOST) return;
    lines.push(at(event));
    points += 1;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId) || !lines.length) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) draw(...at(one));
    sent.value = JSON.stringify(lines);
    changed();
  });
  pad.querySelector("[data-again]").addEventListener("click", () => {
    ink.clearRect(0, 0, canvas.width, canvas.height);
    lines = [];
    points = way = 0;
    sent.value = "";
    changed();
  });
  return { signed: () => points >= FEWEST && way >= SHORTEST };
}
