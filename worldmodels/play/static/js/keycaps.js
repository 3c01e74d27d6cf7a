// The steering keys as they lie on a keyboard; each glows as far as its action is used, by whoever drives.

import { make, setText } from "./elements.js";
import { keySign } from "./wording.js";

const ARROWS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];
const LIT = 0.55; // use of an action above which its sign must be drawn on the accent colour

export class Keycaps {
  constructor(place, { keys, words }, steering) {
    this.keys = keys;
    Object.assign(this, { steering, words });
    this.caps = keys.map(({ key, label }) => {
      const sign = make("kbd", {}, make("span", {}, keySign(key)));
      return make("div", { class: "cap", "data-key": key }, sign, make("span", {}, label));
    });
    place.replaceChildren(...this.caps);
    this.also = make("p", { class: "also soft small" });
    this.others = keys.some(({ key }) => ARROWS.includes(key)) ? "or W A S D, or a gamepad" : "or a gamepad";
    place.append(this.also);
  }

  /** action: what is asked for at present, in the game's units, by the person or by C. */
  update({ who, action: asked }) {
    const action = who === "you" ? this.steering.values : asked;
    setText(this.also, who === "you" ? this.others : this.words.taken);
    this.caps.forEach((cap, index) => {
      const { action: number, value } = this.keys[index];
      const used = Math.min(1, Math.max(0, action[number] / value));
      const text = used.toFixed(2);
      if (cap.dataset.used !== text) {
        cap.dataset.used = text;
        cap.style.setProperty("--used", text);
        cap.classList.toggle("lit", used > LIT);
      }
      cap.classList.toggle("held", this.steering.isHeld(index));
    });
  }
}
