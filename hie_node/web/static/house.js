// Everything here only saves a click: each page works without it.
"use strict";

const part = document.querySelector("[data-ask]");

// what answers a form that asks for a part of the page; nothing where people have to sign in first
async function posted(form) {
  const reply = await fetch(form.action, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
    headers: { "Answer-Part": "1" },
  });
  if (reply.status === 401) {
    location.assign("/login");
    return null;
  }
  if (!reply.ok) throw new Error(reply.status);
  return reply;
}

async function ask(form, pressed) {
  const answer = document.getElementById("answer");
  const words = document.body.dataset;
  const line = answer.querySelector(".asked");
  line.setAttribute("aria-busy", "true");
  const waiting = line.querySelector("[data-waiting]");
  if (waiting) waiting.textContent = words.waiting;
  try {
    const reply = await posted(form);
    if (!reply) return;
    await states(reply, (text) => renew(answer, text));
    if (answer.querySelector(".asked[aria-busy]")) throw new Error("cut");
    // whoever pressed the button by the keyboard goes on from there
    if (pressed && document.activeElement === document.body) answer.querySelector(`[data-key="${pressed}"]`)?.focus();
  } catch {
    failed(answer.querySelector(".asked"), words.failed);
  }
}

// one part of the page, once: it stands where the form stood
async function replace(form) {
  const part = document.getElementById(form.dataset.replaces);
  const said = part.querySelector("[data-said]");
  const button = form.querySelector("button");
  part.setAttribute("aria-busy", "true");
  said.textContent = form.dataset.waiting;
  try {
    const reply = await posted(form);
    if (!reply) return;
    part.outerHTML = await reply.text();
    const now = document.getElementById(form.dataset.replaces);
    watch(now);
    now.querySelector("button")?.focus();
  } catch {
    part.removeAttribute("aria-busy");
    said.className = "note bad";
    said.textContent = form.dataset.failed;
    button.disabled = false;
  }
}

// a part that changes by itself is read again until it says no more that it does
async function reread(part) {
  await new Promise((done) => setTimeout(done, 1500));
  try {
    const reply = await fetch(part.dataset.reread);
    if (!reply.ok || reply.redirected) return;
    const now = new DOMParser().parseFromString(await reply.text(), "text/html").getElementById(part.id);
    if (!now) return;
    part.replaceWith(now);
    watch(now);
    if (now.dataset.reread) reread(now);
  } catch {
    // the node is away for a moment; the link in the part leads on
  }
}

// the page as it stands, again each time a hospital has answered
async function states(reply, show) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let gathered = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const whole = (gathered + value).split("\x1e");
    gathered = whole.pop();
    if (whole.length) show(whole.at(-1));
  }
}

// what somebody has opened, ticked or stands on stays as it was
function renew(answer, text) {
  const open = new Map([...answer.querySelectorAll("details[data-keep]")].map((one) => [one.dataset.keep, one.open]));
  const place = answer.contains(document.activeElement) ? document.activeElement.dataset.key : "";
  const ticked = [...answer.querySelectorAll("input:checked")].map((one) => one.dataset.key);
  answer.innerHTML = text;
  answer.removeAttribute("data-ask");
  watch(answer);
  for (const one of answer.querySelectorAll("details[data-keep]")) one.open = open.get(one.dataset.keep) ?? one.open;
  for (const one of answer.querySelectorAll("input[data-key]")) if (ticked.includes(one.dataset.key)) one.click();
  if (place) answer.querySelector(`[data-key="${CSS.escape(place)}"]`)?.focus();
}

function failed(line, text) {
  line.removeAttribute("aria-busy");
  const note = line.querySelector("[data-waiting]") || line.insertBefore(document.createElement("p"), line.firstChild);
  note.className = "note bad";
  note.textContent = text;
  for (const button of line.querySelectorAll("button")) button.disabled = false;
}

function watch(within) {
  for (const form of within.querySelectorAll("form")) {
    form.addEventListener("submit", (event) => {
      const pressed = event.submitter;
      const sure = (pressed && pressed.dataset.confirm) || form.dataset.confirm;
      if (sure && !confirm(sure)) return event.preventDefault();
      if (form.hasAttribute("data-part")) {
        event.preventDefault();
        pressed.disabled = true;
        return ask(form, pressed.dataset.key);
      }
      if (form.dataset.replaces) {
        event.preventDefault();
        pressed.disabled = true;
        return replace(form);
      }
      // the printed form opens beside this page, which goes on
      if (pressed && pressed.hasAttribute("data-stay")) return;
      // a second click sends nothing; the first has been sent when this runs
      setTimeout(() => form.querySelectorAll("button").forEach((button) => (button.disabled = true)));
    });
  }
  for (const field of within.querySelectorAll("input[data-max]")) {
    field.addEventListener("change", () => {
      const large = field.files[0] && field.files[0].size > Number(field.dataset.max);
      field.setCustomValidity(large ? field.dataset.tooLarge : "");
      field.reportValidity();
    });
  }
  // two at most stand beside each other: a third takes the place of the first
  for (const form of within.querySelectorAll("form[data-two]")) {
    const boxes = [...within.querySelectorAll(`input[form=${form.id}]`)];
    const button = form.querySelector("button");
    const chosen = [];
    button.disabled = true;
    for (const box of boxes) {
      box.addEventListener("change", () => {
        if (box.checked) chosen.push(box);
        else chosen.splice(chosen.indexOf(box), 1);
        if (chosen.length > 2) chosen.shift().checked = false;
        button.disabled = chosen.length !== 2;
      });
    }
  }
  for (const button of within.querySelectorAll("[data-print]")) button.addEventListener("click", () => print());
}

watch(document);
// the next scan replaces what stands in the line
for (const field of document.querySelectorAll("[data-scan]")) field.select();
if (part) ask(part.querySelector("form[data-part]"));
for (const changing of document.querySelectorAll("[data-reread]")) reread(changing);
