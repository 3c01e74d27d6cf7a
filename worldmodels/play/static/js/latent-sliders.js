// A slider for each latent dimension, the one that varies most first.

import { make, setText, show } from "./elements.js";
import { number } from "./wording.js";

const LARGEST = 12; // dimensions that are shown at first
const REACH = 3; // standard deviations to either side of the mean
const STEPS = 120;

export class LatentSliders {
  /** onmove(z) gets the whole latent. */
  constructor(place, { order, mean, std }, onmove) {
    this.z = [...mean];
    this.rows = order.map((dimension, rank) => {
      const reach = REACH * Math.max(std[dimension], 1e-3);
      const range = { min: mean[dimension] - reach, max: mean[dimension] + reach, step: (2 * reach) / STEPS };
      const slider = make("input", { type: "range", ...range, value: mean[dimension], "data-dimension": dimension });
      const output = make("output", { class: "numbers", "aria-live": "off" });
      slider.addEventListener("input", () => {
        const z = [...this.z];
        z[dimension] = Number(slider.value);
        onmove(z);
      });
      const row = make("label", { hidden: rank >= LARGEST }, make("span", {}, `z${dimension}`), slider, output);
      return { row, slider, output, dimension, ...range };
    });
    place.replaceChildren(...this.rows.map(({ row }) => row));
    this.show(this.z);
  }

  get hasMore() {
    return this.rows.length > LARGEST;
  }

  showAll(on) {
    this.rows.forEach(({ row }, rank) => show(row, on || rank < LARGEST));
  }

  /** Values beyond a slider's end are kept; only its thumb stays within. */
  show(z) {
    this.z = z;
    for (const { slider, output, dimension, step } of this.rows) {
      const value = z[dimension];
      if (Math.abs(Number(slider.value) - value) > 0.51 * step) slider.value = String(value);
      setText(output, number(value, 2));
    }
  }
}
