// How dream and game part: two lines over the seconds since the branch, each with a scale of its own.

import { surface, trace } from "./chart.js";

const MOST = 1500; // points; beyond that every other one is dropped
const EVERY = 80; // ms between drawings: lines need no more, and the pictures come first
const UNRELATED = Math.SQRT2; // distance of two moments that have nothing to do with each other, in standard deviations

export class DivergenceChart {
  #points = []; // [seconds, latent, pixels]
  #asked = false;

  constructor(canvas) {
    this.canvas = canvas;
    addEventListener("themechange", () => this.#ask());
    new ResizeObserver(() => this.#ask()).observe(canvas);
  }

  clear() {
    this.#points = [];
    this.#ask();
  }

  add(seconds, latent, pixels) {
    const last = this.#points.at(-1);
    if (last && seconds <= last[0]) return;
    this.#points.push([seconds, latent, pixels]);
    if (this.#points.length > MOST) this.#points = this.#points.filter((_, index) => index % 2 === 0);
    this.#ask();
  }

  #ask() {
    if (this.#asked) return;
    this.#asked = true;
    setTimeout(() => {
      this.#asked = false;
      this.draw();
    }, EVERY);
  }

  draw() {
    const on = surface(this.canvas);
    if (!on) return;
    const until = Math.max(4, this.#points.at(-1)?.[0] ?? 0);
    const side = on.width > 620;
    const width = side ? on.width / 2 - 14 : on.width;
    const height = side ? on.height : on.height / 2 - 4;
    const bands = [
      { left: 0, top: 0, column: 1, title: "as numbers (standard deviations of a latent)", least: 1.6, mark: UNRELATED, digits: 2 },
      { left: side ? width + 28 : 0, top: side ? 0 : height + 8, column: 2, title: "as pictures (mean difference of a pixel, of 255)", least: 20, digits: 0 },
    ];
    for (const band of bands) this.#band(on, { ...band, width, height, until });
  }

  #band({ context, soft, line, accent, ink }, { left, top, width, height, until, column, title, least, mark, digits }) {
    const highest = this.#points.reduce((most, point) => Math.max(most, point[column]), least) * 1.08;
    const bottom = top + height - 18;
    const roof = top + 20;
    const right = left + width - 40; // room for the present value
    const x = (seconds) => left + (seconds / until) * (right - left);
    const y = (value) => bottom - (value / highest) * (bottom - roof);
    context.fillStyle = soft;
    context.fillText(title, left, top + 12, width);
    context.lineWidth = 1;
    context.strokeStyle = line;
    trace(context, [[left, bottom], [right, bottom]]);
    context.stroke();
    const step = [1, 2, 5, 10, 20, 60, 120, 300].find((one) => until / one <= 6) ?? 600;
    for (let seconds = 0; seconds <= until; seconds += step) {
      const text = `${seconds} s`;
      context.fillText(text, Math.max(left, x(seconds) - context.measureText(text).width / 2), bottom + 14);
    }
    if (mark) {
      context.setLineDash([4, 4]);
      context.strokeStyle = soft;
      trace(context, [[left, y(mark)], [right, y(mark)]]);
      context.stroke();
      context.setLineDash([]);
      context.fillText("two unrelated moments", left + 2, y(mark) - 4);
    }
    if (this.#points.length === 0) return;
    context.strokeStyle = accent;
    context.lineWidth = 2;
    trace(context, this.#points.map((point) => [x(point[0]), y(point[column])]));
    context.stroke();
    const last = this.#points.at(-1);
    context.fillStyle = ink;
    context.fillText(last[column].toFixed(digits), x(last[0]) + 5, y(last[column]) + 4);
  }
}
