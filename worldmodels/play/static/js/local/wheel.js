// Who drives: a person or C, and at which temperature the dream goes on. As in play/wheel.py.

import { ActionRange, hundredths } from "./actions.js";
import { act } from "./controller.js";

export class Wheel {
  /** @param model what model.json holds */
  constructor(model) {
    this.range = new ActionRange(model.action_low, model.action_high);
    this.controllers = model.controllers;
    this.controller = model.controllers[0];
    this.who = "you";
    this.temperature = hundredths(model.hello.temperature);
    this.input = 0; // number of the last one
    this.wish = this.range.rest;
    this.decided = null;
  }

  /** A person's input, which holds until the next. */
  steer(number, values) {
    this.input = number;
    this.wish = this.range.nearest(values);
  }

  /** What is to be done in a state of the dream; C decides once for each. */
  action(state) {
    if (this.who === "you") return this.wish;
    if (this.decided?.state !== state || this.decided.controller !== this.controller) {
      const action = this.range.nearest(act(this.controller, state));
      this.decided = { state, controller: this.controller, action };
    }
    return this.decided.action;
  }

  /** What every frame says about the wheel. */
  get header() {
    return { who: this.who, controller: this.controller.name, temperature: this.temperature / 100 };
  }
}
