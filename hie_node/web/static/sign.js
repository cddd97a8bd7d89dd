// The patient signs on the screen: the words of the paper and the signature become one picture, which is the evidence.
"use strict";

const pad = document.querySelector("[data-sign]");
const LINE = 34, MARGIN = 70, PAGE = 1240;

if (pad) {
  const ink = pad.getContext("2d");
  const form = pad.closest("form");
  let strokes = 0;
  form.hidden = false;
  ink.lineWidth = 3;
  ink.lineCap = ink.lineJoin = "round";
  const at = (event) => {
    const box = pad.getBoundingClientRect();
    return [((event.clientX - box.left) * pad.width) / box.width, ((event.clientY - box.top) * pad.height) / box.height];
  };
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    ink.beginPath();
    ink.moveTo(...at(event));
  });
  pad.addEventListener("pointermove", (event) => {
    if (!pad.hasPointerCapture(event.pointerId)) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) ink.lineTo(...at(one));
    ink.stroke();
    strokes += 1;
    form.querySelector("[data-done]").disabled = strokes < 8;
  });
  form.querySelector("[data-again]").addEventListener("click", () => {
    ink.clearRect(0, 0, pad.width, pad.height);
    strokes = 0;
    form.querySelector("[data-done]").disabled = true;
  });
  form.addEventListener("submit", async (event) => {
    const field = form.elements.scan;
    if (field.files.length) return;
    event.preventDefault();
    const sheet = paper(document.querySelector(".paper").innerText, pad, form.dataset.line);
    const picture = await new Promise((done) => sheet.toBlob(done, "image/png"));
    const files = new DataTransfer();
    files.items.add(new File([picture], "van-ban-yeu-cau.png", { type: "image/png" }));
    field.files = files.files;
    form.submit();
  });
}

function paper(text, signature, told) {
  const sheet = document.createElement("canvas");
  const draw = sheet.getContext("2d");
  const font = "26px 'Times New Roman', 'Liberation Serif', serif";
  draw.font = font;
  const lines = text.split("\n").flatMap((line) => wrapped(draw, line.trim(), PAGE - 2 * MARGIN));
  sheet.width = PAGE;
  sheet.height = 2 * MARGIN + (lines.length + 2) * LINE + signature.height;
  draw.fillStyle = "#fff";
  draw.fillRect(0, 0, sheet.width, sheet.height);
  draw.fillStyle = "#000";
  draw.font = font;
  lines.forEach((line, number) => draw.fillText(line, MARGIN, MARGIN + (number + 1) * LINE));
  const below = MARGIN + (lines.length + 1) * LINE;
  draw.drawImage(signature, MARGIN, below);
  draw.fillText(told, MARGIN, below + signature.height + LINE);
  return sheet;
}

function wrapped(draw, line, width) {
  const lines = [""];
  for (const word of line.split(/\s+/)) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (draw.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
