// The way from one latent to another.

import { byId, press } from "./elements.js";
import { Painter } from "./painter.js";

const ROUND = 5000; // ms there and back
const APART = 15; // ms between two questions to the engine, on screens that are repainted more often than others too

export class Between {
  #ends = { a: null, b: null };
  #frame = 0;

  /** screen: has z, decoded (a Painter) and want(z). */
  constructor(screen) {
    this.screen = screen;
    this.slider = byId("interpolation");
    this.button = byId("animate");
    for (const end of ["a", "b"]) {
      const button = byId(`set-${end}`);
      const thumb = new Painter(button.querySelector("canvas"));
      button.addEventListener("click", () => {
        this.stop();
        this.#ends[end] = [...screen.z];
        thumb.copy(screen.decoded);
        this.slider.value = end === "a" ? "0" : "1";
        this.slider.disabled = this.button.disabled = !(this.#ends.a && this.#ends.b);
      });
    }
    this.slider.addEventListener("input", () => {
      this.stop();
      this.#go();
    });
    this.button.addEventListener("click", () => (this.#frame ? this.stop() : this.#animate()));
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    press(this.button, false);
  }

  #go() {
    const share = Number(this.slider.value);
    const { a, b } = this.#ends;
    this.screen.want(a.map((from, dimension) => from + share * (b[dimension] - from)));
  }

  #animate() {
    press(this.button, true);
    const began = performance.now() - (Math.acos(1 - 2 * Number(this.slider.value)) / (2 * Math.PI)) * ROUND; // from where it stands
    let asked = -Infinity;
    const move = (now) => {
      this.#frame = requestAnimationFrame(move);
      if (now - asked < APART) return;
      asked = now;
      this.slider.value = String(0.5 - 0.5 * Math.cos((2 * Math.PI * (now - began)) / ROUND));
      this.#go();
    };
    this.#frame = requestAnimationFrame(move);
  }
}
