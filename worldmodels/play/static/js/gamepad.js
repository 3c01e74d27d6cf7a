// A gamepad: the stick is left and right, the triggers (or A and B) up and down, the cross all four arrow keys.

const DEAD = 0.12; // of the stick's way that counts as rest
const CROSS = { 12: "ArrowUp", 13: "ArrowDown", 14: "ArrowLeft", 15: "ArrowRight" };
const TRIGGERS = { ArrowUp: [7, 0], ArrowDown: [6, 1] }; // right trigger or A, left trigger or B
const START = 9;

export class Gamepad {
  #watching = false;
  #startHeld = false;

  constructor(steering, { steers, pause }) {
    this.steering = steering;
    this.steers = steers;
    this.pause = pause;
    addEventListener("gamepadconnected", () => this.#watch());
  }

  #watch() {
    if (this.#watching) return;
    this.#watching = true;
    const look = () => {
      const pad = navigator.getGamepads().find((one) => one?.connected);
      if (pad && this.steers()) this.#read(pad);
      this.#watching = Boolean(pad);
      if (pad) requestAnimationFrame(look);
      else this.steering.releaseAll();
    };
    requestAnimationFrame(look);
  }

  #read(pad) {
    const { keys } = this.steering;
    const find = (name) => keys.findIndex(({ key }) => key === name);
    const [left, right] = [keys[find("ArrowLeft")], keys[find("ArrowRight")]];
    if (left && right && left.action === right.action) {
      const stick = pad.axes[0] ?? 0;
      const away = Math.max(0, Math.abs(stick) - DEAD) / (1 - DEAD);
      this.steering.lean(left.action, away === 0 ? null : away * (stick < 0 ? left.value : right.value));
    }
    for (const [name, buttons] of Object.entries(TRIGGERS)) {
      const key = keys[find(name)];
      if (!key) continue;
      const pulled = Math.max(...buttons.map((button) => pad.buttons[button]?.value ?? 0));
      this.steering.lean(key.action, pulled < 0.03 ? null : pulled * key.value);
    }
    for (const [button, name] of Object.entries(CROSS)) this.#cross(pad.buttons[button]?.pressed, find(name));
    const start = Boolean(pad.buttons[START]?.pressed);
    if (start && !this.#startHeld) this.pause();
    this.#startHeld = start;
  }

  #cross(pressed, index) {
    if (index < 0) return;
    const by = this.steering.heldBy(index);
    if (pressed && by === undefined) this.steering.press(index, "cross");
    else if (!pressed && by === "cross") this.steering.release(index);
  }
}
