// Cheating: one C in its own dream and in the actual game. Where they part, it has learnt the dream's mistakes.

import { announce, byId, options, setText, show, showPaused } from "./elements.js";
import { Painter } from "./painter.js";
import { driverWords, number, signed } from "./wording.js";
import { gameOver } from "./words.js";

const WORDS_EVERY = 100; // ms between changes of numbers

export class CheatingScreen {
  name = "cheating";
  steers = false;
  picture = byId("picture-cheating");

  #header = null;
  #wordsAt = 0;
  #waitingFor = null; // seed of the pair that was there when another was asked for

  constructor({ hello, send }) {
    Object.assign(this, { hello, send });
    const [dream, actual] = document.querySelectorAll("#screen-cheating .stage canvas");
    this.painters = { dream: new Painter(dream), actual: new Painter(actual) };
    this.select = byId("cheating-controller");
    const own = hello.controllers[0].temperature;
    const byTemperature = [...hello.controllers].sort((one, other) => one.temperature - other.temperature);
    options(this.select, byTemperature.map(({ name, label }) => [name, label]));
    show(byId("cheating-none"), byTemperature[0].temperature >= own);
    setText(byId("cheating-command"), `worldmodels evolve ${hello.run ?? "RUN"} --temperature 0.1`);
    this.select.addEventListener("change", this.commands.restart);
    byId("cheating-restart").addEventListener("click", this.commands.restart);
    byId("cheating-pause").addEventListener("click", this.commands.pause);
    this.#measure();
  }

  commands = {
    pause: () => this.send({ type: "pause", on: !this.#header?.paused }),
    restart: () => {
      this.#waitingFor = this.#header?.seed ?? null;
      this.#measure();
      show(byId("cheating-waking"), true);
      this.send({ type: "restart", controller: this.select.value, seed: null });
    },
  };

  enter() {
    this.#header = null;
    this.commands.restart();
  }

  leave() {}
  resend() {}
  take() {}
  event() {}

  show(header, panes) {
    if (header.seed !== undefined && header.seed === this.#waitingFor) return; // of the pair before
    this.#waitingFor = null;
    const before = this.#header;
    this.#header = header;
    header.panes.forEach((name, index) => this.painters[name].paint(panes[index]));
    const over = header.dream.ended && header.actual.ended;
    const turned = !before || header.paused !== before.paused || over !== (before.dream.ended && before.actual.ended) || header.seed !== before.seed;
    if (turned) this.#turn(header, before, over);
    const now = performance.now();
    if (turned || now - this.#wordsAt >= WORDS_EVERY) {
      this.#wordsAt = now;
      this.#tell(header);
    }
  }

  #turn(header, before, over) {
    show(byId("cheating-waking"), false);
    show(byId("cheating-paused"), header.paused);
    showPaused(byId("cheating-pause"), header.paused);
    const { digits } = this.hello.words;
    const scores = `In its dream ${number(header.dream.score, digits)}, in the actual game ${number(header.actual.score, digits)}.`;
    if (over) announce(`Both are over. ${scores}`);
    else if (before && header.paused !== before.paused) announce(header.paused ? `Paused. ${scores}` : "Going on.");
  }

  #tell({ dream, actual }) {
    const { words } = this.hello;
    setText(byId("cheating-dream"), number(dream.score, words.digits));
    setText(byId("cheating-actual"), number(actual.score, words.digits));
    const gap = dream.score - actual.score;
    setText(byId("cheating-gap"), signed(gap, words.digits));
    setText(byId("cheating-gap-words"), gap > 0 ? "more in the dream than it is worth" : "the dream does not flatter it");
    show(byId("cheating-dream-ended"), dream.ended);
    show(byId("cheating-actual-ended"), actual.ended);
    if (actual.ended) setText(byId("cheating-actual-ended"), gameOver(words, actual));
  }

  #measure() {
    const controller = this.hello.controllers.find(({ name }) => name === this.select.value);
    setText(byId("cheating-measured"), driverWords(controller, this.hello.words));
  }
}
