// Draws pictures of 64x64 pixels, each pixel as a whole number of the screen's own, so that edges stay crisp.

export const SIDE = 64;
const FILL = 0.8; // of its place that a picture must fill; below that, pixels of unequal size are the lesser evil

export class Painter {
  #small = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  #shown = false;

  /** canvas stands in a .stage, and that in a .slot whose size is the style sheet's business alone. */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.smallContext = this.#small.getContext("2d", { alpha: false });
    this.image = this.smallContext.createImageData(SIDE, SIDE);
    this.words = new Uint32Array(this.image.data.buffer);
    this.slot = canvas.closest(".slot");
    if (this.slot) {
      new ResizeObserver(() => this.fit()).observe(this.slot);
      addEventListener("resize", () => this.fit()); // zooming changes the size of a pixel, not that of the slot
    }
  }

  /** The largest size at which pixels are whole. */
  fit() {
    const ratio = devicePixelRatio || 1;
    const room = Math.min(this.slot.clientWidth, this.slot.clientHeight) * ratio;
    if (room < 1) return; // on a screen that is not shown
    const whole = Math.floor(room / SIDE + 0.01) * SIDE;
    const size = whole >= FILL * room ? whole : Math.floor(room);
    const css = `${size / ratio}px`;
    if (this.canvas.width === size && this.canvas.style.width === css) return;
    this.canvas.width = this.canvas.height = size;
    this.canvas.style.width = this.canvas.style.height = css;
    if (this.#shown) this.#enlarge();
  }

  /** rgb: 64*64*3 bytes, rows from the top. */
  paint(rgb) {
    const words = this.words;
    for (let pixel = 0, byte = 0; pixel < words.length; pixel += 1, byte += 3) {
      words[pixel] = 0xff000000 | (rgb[byte + 2] << 16) | (rgb[byte + 1] << 8) | rgb[byte]; // little endian: ABGR
    }
    this.smallContext.putImageData(this.image, 0, 0);
    this.#shown = true;
    this.#enlarge();
  }

  clear() {
    this.#shown = false;
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** Another canvas's picture. */
  copy(painter) {
    this.smallContext.drawImage(painter.#small, 0, 0);
    this.#shown = true;
    this.#enlarge();
  }

  #enlarge() {
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(this.#small, 0, 0, this.canvas.width, this.canvas.height);
  }
}

const EVERY = 400; // ms between changes of the light around a picture

/** Lets a picture light its surroundings, as a screen lights a dark room. */
export class Ambience {
  #next = 0;
  #mean = null;

  constructor(slot) {
    this.slot = slot;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
  }

  feel(rgb) {
    const now = performance.now();
    if (now < this.#next || this.still.matches) return;
    this.#next = now + EVERY;
    const sum = [0, 0, 0];
    const stride = 3 * 37; // a sample of the pixels, spread over all columns
    let count = 0;
    for (let byte = 0; byte < rgb.length; byte += stride, count += 1) {
      for (let channel = 0; channel < 3; channel += 1) sum[channel] += rgb[byte + channel];
    }
    const mean = sum.map((total) => total / count);
    this.#mean = this.#mean?.map((old, channel) => old + 0.4 * (mean[channel] - old)) ?? mean;
    this.slot.style.setProperty("--ambient", `rgb(${this.#mean.map(Math.round).join(" ")})`);
  }
}
