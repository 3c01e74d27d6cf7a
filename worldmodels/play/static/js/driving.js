// Who plays: a switch between the person and C, and which C.

import { announce, make, options, press, setText } from "./elements.js";
import { driverWords } from "./wording.js";

export class Driving {
  #who = null;
  #controller = null;

  /** prefix keeps ids apart where the switch stands on more than one screen. */
  constructor(place, prefix, { hello, send }) {
    Object.assign(this, { send, gamesWords: hello.words });
    this.controllers = new Map(hello.controllers.map((controller) => [controller.name, controller]));
    const id = (name) => prefix + name;
    this.you = make("button", { id: id("drive-you"), "aria-pressed": "true", onclick: () => this.choose("you") }, hello.words.you);
    this.c = make("button", { id: id("drive-controller"), "aria-pressed": "false", onclick: () => this.choose("controller") }, `${hello.words.controller} `, make("kbd", {}, "C"));
    this.select = make("select", { id: id("controller"), "aria-label": "Which controller" });
    this.words = make("p", { class: "soft small driver" });
    options(this.select, hello.controllers.map(({ name, label }) => [name, label]));
    this.select.addEventListener("change", () => this.send({ type: "controller", name: this.select.value }));
    place.replaceChildren(make("div", { class: "switch", role: "group", "aria-label": "Who plays" }, this.you, this.c), this.select, this.words);
    this.#know("you", hello.controller);
  }

  get who() {
    return this.#who;
  }

  choose(who) {
    this.send({ type: "drive", who });
    this.#know(who, this.#controller);
  }

  toggle() {
    this.choose(this.#who === "you" ? "controller" : "you");
  }

  /** Told again to an engine that has forgotten everything. */
  resend() {
    this.send({ type: "controller", name: this.#controller });
    this.send({ type: "drive", who: this.#who });
  }

  update({ who, controller }) {
    if (who !== this.#who || controller !== this.#controller) this.#know(who, controller);
  }

  #know(who, controller) {
    if (this.#who !== null && who !== this.#who) announce(`${who === "you" ? this.gamesWords.you : this.gamesWords.controller}.`);
    this.#who = who;
    this.#controller = controller;
    press(this.you, who === "you");
    press(this.c, who === "controller");
    if (document.activeElement !== this.select) this.select.value = controller;
    setText(this.words, driverWords(this.controllers.get(controller), this.gamesWords));
  }
}
