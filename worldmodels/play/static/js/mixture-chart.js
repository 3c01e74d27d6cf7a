// The density that M predicts for one latent: thin as M says it, filled as it is drawn from at the present temperature.

import { surface, trace } from "./chart.js";

const POINTS = 160;

/** M's mixture at a temperature, as it is sampled: logits / τ, sigma * sqrt(τ). */
export function atTemperature({ pi, mu, sigma }, temperature) {
  const logits = pi.map((share) => Math.log(Math.max(share, 1e-30)) / temperature);
  const largest = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - largest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return { pi: weights.map((weight) => weight / total), mu, sigma: sigma.map((width) => width * Math.sqrt(temperature)) };
}

function density({ pi, mu, sigma }, x) {
  let sum = 0;
  for (let k = 0; k < pi.length; k += 1) {
    const away = (x - mu[k]) / sigma[k];
    sum += (pi[k] / sigma[k]) * Math.exp(-0.5 * away * away);
  }
  return sum / Math.sqrt(2 * Math.PI);
}

export class MixtureChart {
  #height = 0; // grows at once and shrinks slowly, so that the scale does not jump

  /** latents: mean and std of each dimension over the run, which fix the horizontal scale. */
  constructor(canvas, latents) {
    this.canvas = canvas;
    this.latents = latents;
    this.dimension = null;
  }

  draw(mixture, temperature) {
    const on = surface(this.canvas);
    if (!on || !mixture) return;
    if (mixture.dimension !== this.dimension) {
      this.dimension = mixture.dimension;
      this.#height = 0;
    }
    const { context, width, height, soft, line, accent, ink } = on;
    const mean = this.latents.mean[mixture.dimension];
    const reach = 4 * Math.max(this.latents.std[mixture.dimension], 0.05);
    const drawn = atTemperature(mixture, temperature);
    const xs = Array.from({ length: POINTS + 1 }, (_, index) => mean - reach + (2 * reach * index) / POINTS);
    const own = xs.map((x) => density(mixture, x));
    const warm = xs.map((x) => density(drawn, x));
    this.#height = Math.max(Math.max(...own), Math.max(...warm), this.#height * 0.97);
    const bottom = height - 18;
    const px = (x) => ((x - mean + reach) / (2 * reach)) * width;
    const py = (value) => bottom - (value / this.#height) * (bottom - 8);
    context.strokeStyle = line;
    trace(context, [[0, bottom], [width, bottom]]);
    context.stroke();
    context.fillStyle = soft;
    for (const value of [mean - 0.75 * reach, mean, mean + 0.75 * reach]) {
      const text = value.toFixed(1).replace("-", "−");
      context.fillText(text, px(value) - context.measureText(text).width / 2, height - 4);
    }
    trace(context, [[0, bottom], ...xs.map((x, index) => [px(x), py(warm[index])]), [width, bottom]]);
    context.fillStyle = accent;
    context.globalAlpha = 0.3;
    context.fill();
    context.globalAlpha = 1;
    trace(context, xs.map((x, index) => [px(x), py(own[index])]));
    context.strokeStyle = soft;
    context.lineWidth = 1.25;
    context.stroke();
    const z = px(mixture.z);
    context.strokeStyle = ink;
    context.lineWidth = 2;
    trace(context, [[z, bottom + 4], [z, bottom - 12]]);
    context.stroke();
  }
}
