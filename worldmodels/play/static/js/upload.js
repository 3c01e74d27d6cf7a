// A person's picture as a frame: its largest central square, 64x64. It goes to the engine only.

import { SIDE } from "./painter.js";

/** Base64 of 64*64*3 bytes. Throws for a file that is no picture. */
export async function pixelsOf(file) {
  const picture = await createImageBitmap(file);
  const square = Math.min(picture.width, picture.height);
  let from = { image: picture, x: (picture.width - square) / 2, y: (picture.height - square) / 2, side: square };
  // Halved step by step: a browser that shrinks at once may look at few of the pixels only.
  while (from.side > 2 * SIDE) from = shrunk(from, Math.ceil(from.side / 2));
  const { image } = shrunk(from, SIDE);
  const { data } = image.getContext("2d").getImageData(0, 0, SIDE, SIDE);
  let text = "";
  for (let byte = 0; byte < data.length; byte += 4) text += String.fromCharCode(data[byte], data[byte + 1], data[byte + 2]);
  return btoa(text);
}

function shrunk({ image, x, y, side }, to) {
  const canvas = Object.assign(document.createElement("canvas"), { width: to, height: to });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillRect(0, 0, to, to); // behind what is transparent
  context.imageSmoothingQuality = "high";
  context.drawImage(image, x, y, side, side, 0, 0, to, to);
  return { image: canvas, x: 0, y: 0, side: to };
}
