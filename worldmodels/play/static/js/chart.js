// Small charts on canvases, in the theme's colours and the screen's own pixels.

/** A canvas's context, scaled to CSS pixels and wiped, with its size and the theme's colours; null while it is not shown. */
export function surface(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (width === 0 || height === 0) return null;
  const ratio = devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.globalAlpha = 1;
  context.lineWidth = 1;
  context.font = '12px system-ui, "Segoe UI", Roboto, sans-serif';
  context.lineJoin = "round";
  return { context, width, height, ...colours() };
}

let cached = null;
addEventListener("themechange", () => (cached = null));

function colours() {
  if (!cached) {
    const style = getComputedStyle(document.documentElement);
    const [ink, soft, line, accent] = ["--ink", "--soft", "--line", "--accent"].map((name) => style.getPropertyValue(name).trim());
    cached = { ink, soft, line, accent };
  }
  return cached;
}

/** A path through points [[x, y], ...] in CSS pixels. */
export function trace(context, points) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
}

/** The last values as a line that fills up to zero. */
export class Sparkline {
  #values = [];

  constructor(canvas, length) {
    this.canvas = canvas;
    this.length = length;
    this.range = 1e-3; // grows at once and shrinks slowly, so that the scale does not jump
  }

  clear() {
    this.#values = [];
    this.range = 1e-3;
    this.draw();
  }

  /** Takes the last so many values back. */
  back(count) {
    this.#values.splice(Math.max(0, this.#values.length - count));
    this.draw();
  }

  add(value) {
    this.#values.push(value);
    if (this.#values.length > this.length) this.#values.shift();
    this.draw();
  }

  draw() {
    const on = surface(this.canvas);
    if (!on) return;
    const { context, width, height, accent, line } = on;
    const largest = this.#values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
    this.range = Math.max(largest, this.range * 0.98);
    const y = (value) => height / 2 - (value / this.range) * (height / 2 - 2);
    context.strokeStyle = line;
    trace(context, [[0, height / 2], [width, height / 2]]);
    context.stroke();
    if (this.#values.length < 2) return;
    const x = (index) => width - 2 - ((this.#values.length - 1 - index) / (this.length - 1)) * (width - 2);
    const points = this.#values.map((value, index) => [x(index), y(value)]);
    context.strokeStyle = accent;
    context.lineWidth = 1.75;
    trace(context, points);
    context.stroke();
    context.lineTo(points.at(-1)[0], height / 2);
    context.lineTo(points[0][0], height / 2);
    context.globalAlpha = 0.16;
    context.fillStyle = accent;
    context.fill();
  }
}
