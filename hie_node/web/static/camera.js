// A card held before the camera fills the line, as a scanner with a cable would; only where the browser reads codes.
"use strict";

for (const button of document.querySelectorAll("[data-camera]")) offer(button);

async function offer(button) {
  if (!("BarcodeDetector" in window) || !navigator.mediaDevices) return;
  if (!(await BarcodeDetector.getSupportedFormats()).includes("qr_code")) return;
  button.hidden = false;
  button.addEventListener("click", () => scan(button));
}

async function scan(button) {
  const dialog = document.getElementById("camera");
  const video = dialog.querySelector("video");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
  } catch {
    button.textContent = button.dataset.refused;
    return;
  }
  video.srcObject = stream;
  dialog.addEventListener("close", () => stream.getTracks().forEach((track) => track.stop()), { once: true });
  dialog.showModal();
  await video.play();
  const detector = new BarcodeDetector({ formats: ["qr_code"] });
  while (dialog.open) {
    const [code] = await detector.detect(video).catch(() => []);
    if (code) {
      dialog.close();
      const line = button.form.elements.q;
      line.value = code.rawValue;
      button.form.requestSubmit();
      return;
    }
    await new Promise((later) => setTimeout(later, 120));
  }
}
