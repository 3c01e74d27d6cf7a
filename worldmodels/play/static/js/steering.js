// What the person asks for now. Keys and pads are on or off: their actions rise towards them and fall back smoothly.

import { keySent } from "./debug.js";

const RELEASE = 10; // units a second at which an action returns to rest

export class Steering {
  #held = new Map(); // index in keys → what holds it: a key's code, "pad", "cross"
  #analog = new Map(); // action → value from a stick or a trigger
  #timer = 0;
  #last = 0;
  #sent = "";
  #id = 0;

  /** ontake() is called when a person lays hands on the wheel, onchange() when a key or pad goes down or up. */
  constructor({ actions, keys, rise, steps_per_second: rate }, send) {
    this.actions = actions;
    this.keys = keys;
    this.rise = rise;
    this.period = 1000 / rate;
    this.send = send;
    this.rest = actions.map(({ low, high }) => Math.min(Math.max(0, low), high));
    this.values = [...this.rest];
    this.enabled = true;
    this.ontake = () => {};
    this.onchange = () => {};
  }

  isHeld(index) {
    return this.#held.has(index);
  }

  heldBy(index) {
    return this.#held.get(index);
  }

  /** Holds a key of hello.keys down; time as in an event's timeStamp. */
  press(index, by, time = performance.now()) {
    if (!this.enabled || this.#held.has(index)) return;
    this.#held.set(index, by);
    this.ontake();
    this.#advance(this.period);
    if (this.#say()) keySent(this.#id, time);
    this.#run();
    this.onchange();
  }

  release(index) {
    if (this.#held.delete(index)) {
      this.#run();
      this.onchange();
    }
  }

  releaseAll() {
    this.#held.clear();
    this.#analog.clear();
    this.#run();
    this.onchange();
  }

  /** A stick or a trigger, in the action's units; null when it is let go. */
  lean(action, value) {
    const before = this.#analog.get(action) ?? null;
    if (!this.enabled || value === before) return;
    if (value === null) this.#analog.delete(action);
    else this.#analog.set(action, value);
    if (before === null) this.ontake();
    this.#run();
  }

  /** The wheel is handed over where it stands. */
  takeOver(values) {
    this.values = values.map((value, action) => this.#within(action, value));
    this.#sent = "";
    this.#run();
  }

  /** The engine has forgotten what was asked for. */
  sayAgain() {
    this.#sent = "";
    if (this.#held.size > 0 || this.#analog.size > 0) this.#say();
  }

  #run() {
    if (this.#timer) return;
    this.#last = performance.now();
    this.#timer = setInterval(() => this.#beat(), this.period);
  }

  #beat() {
    const now = performance.now();
    const moved = this.#advance(now - this.#last);
    this.#last = now;
    this.#say();
    if (!moved) {
      clearInterval(this.#timer);
      this.#timer = 0;
    }
  }

  /** Moves all values by so many milliseconds; returns whether any is still on its way. */
  #advance(elapsed) {
    const seconds = elapsed / 1000;
    let moving = false;
    for (let action = 0; action < this.values.length; action += 1) {
      const value = this.values[action];
      const target = this.#target(action);
      if (this.#analog.has(action)) {
        this.values[action] = target; // a stick is smooth by itself
        continue;
      }
      const rest = this.rest[action];
      const backwards = (target - rest) * (value - rest) < 0 || Math.abs(target - rest) < Math.abs(value - rest);
      const most = (backwards ? Math.max(RELEASE, this.rise) : this.rise) * seconds;
      const next = value + Math.max(-most, Math.min(most, target - value));
      this.values[action] = Math.abs(next - target) < 1e-6 ? target : next;
      moving ||= this.values[action] !== target;
    }
    return moving;
  }

  #target(action) {
    if (this.#analog.has(action)) return this.#within(action, this.#analog.get(action));
    const held = this.keys.filter((key, index) => key.action === action && this.#held.has(index));
    const sum = held.reduce((total, key) => total + key.value, 0);
    return held.length > 0 ? this.#within(action, sum) : this.rest[action];
  }

  #within(action, value) {
    const { low, high } = this.actions[action];
    return Math.min(Math.max(value, low), high);
  }

  /** Sends what is asked for where it has changed. */
  #say() {
    const action = this.values.map((value) => Math.round(value * 100) / 100);
    const text = action.join();
    if (text === this.#sent) return false;
    if (this.send({ type: "input", id: this.#id + 1, action }) === false) return false;
    this.#id += 1;
    this.#sent = text;
    return true;
  }
}
