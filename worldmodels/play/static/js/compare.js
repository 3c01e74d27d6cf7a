// Side by side: the actual game, what V makes of it, and the dream that left it at one moment.

import { DivergenceChart } from "./divergence-chart.js";
import { Driving } from "./driving.js";
import { announce, byId, setText, show, showPaused } from "./elements.js";
import { Keycaps } from "./keycaps.js";
import { buildPads } from "./pads.js";
import { Painter } from "./painter.js";
import { number, signed } from "./wording.js";
import { gameOver } from "./words.js";

const WORDS_EVERY = 100; // ms between changes of numbers

export class CompareScreen {
  name = "compare";
  steers = true;
  picture = byId("picture-compare");

  #header = null;
  #wordsAt = 0;
  #scoreAtBranch = 0;

  constructor(context) {
    const { hello, send, steering } = context;
    Object.assign(this, { hello, send, steering });
    const painter = (name) => new Painter(byId(`pane-${name}`).querySelector("canvas"));
    this.painters = { actual: painter("actual"), vision: painter("vision"), dream: painter("dream") };
    this.driving = new Driving(byId("driving-compare"), "compare-", context);
    this.keycaps = new Keycaps(byId("keys-compare"), hello, steering);
    this.chart = new DivergenceChart(byId("divergence"));
    buildPads(byId("pads-compare"), hello, steering);
    byId("branch").addEventListener("click", this.commands.branch);
    byId("compare-restart").addEventListener("click", this.commands.restart);
    byId("compare-pause").addEventListener("click", this.commands.pause);
  }

  commands = {
    pause: () => this.send({ type: "pause", on: !this.#header?.paused }),
    restart: () => this.send({ type: "restart", seed: null }),
    drive: () => this.driving.toggle(),
    branch: () => this.send({ type: "branch" }),
  };

  /** The game is started anew each time: it was ended when the screen was left. */
  enter() {
    this.#header = null;
    show(byId("compare-waking"), true);
    show(byId("not-branched"), true);
    this.chart.clear();
  }

  leave() {}

  resend() {
    this.driving.resend();
  }

  take() {
    if (this.driving.who !== "controller") return;
    this.driving.choose("you");
    if (this.#header) this.steering.takeOver(this.#header.action);
  }

  event() {}

  show(header, panes) {
    const before = this.#header;
    this.#header = header;
    header.panes.forEach((name, index) => this.painters[name].paint(panes[index]));
    if (header.seed !== before?.seed || header.branched !== before?.branched) this.#begin(header, before);
    if (header.divergence) {
      const { steps_per_second: rate, action_repeat: repeat } = this.hello;
      const seconds = (header.step - header.branched * repeat) / rate;
      this.chart.add(seconds, header.divergence.latent, header.divergence.pixels);
    }
    const ended = header.actual.ended;
    const turned = header.paused !== before?.paused || ended !== Boolean(before?.actual.ended);
    if (turned) this.#turn(header, before);
    const now = performance.now();
    if (turned || now - this.#wordsAt >= WORDS_EVERY) {
      this.#wordsAt = now;
      this.#tell(header);
    }
  }

  #begin(header, before) {
    this.chart.clear();
    show(byId("compare-waking"), false);
    show(byId("not-branched"), header.branched === null);
    if (header.branched === null) return;
    this.#scoreAtBranch = header.actual.score;
    const at = (header.branched * this.hello.action_repeat) / this.hello.steps_per_second;
    if (before) announce(`The dream left the game after ${number(at, 1)} seconds.`);
  }

  #turn(header, before) {
    show(byId("compare-paused"), header.paused && !header.actual.ended);
    showPaused(byId("compare-pause"), header.paused);
    const { words } = this.hello;
    const over = gameOver(words, header.actual);
    show(byId("actual-ended"), header.actual.ended);
    setText(byId("actual-ended"), over);
    const dreamt = header.dream ? `, in the dream ${number(header.dream.score, words.digits)}.` : ".";
    const scores = `${words.score} in the game ${number(header.actual.score, words.digits)}${dreamt}`;
    if (header.actual.ended) announce(`${over}. ${scores} Press R to begin again.`);
    else if (before) announce(header.paused ? `Paused. ${scores}` : "Going on.");
  }

  #tell(header) {
    const { digits } = this.hello.words;
    setText(byId("actual-score"), number(header.actual.score, digits));
    // The dream earns from the branch on only: so the game's share since then is told beside its sum.
    setText(byId("dream-score"), header.dream ? signed(header.dream.score, digits) : "");
    setText(byId("dream-since"), header.dream ? "since it left" : "");
    setText(byId("actual-since"), header.dream ? `${signed(header.actual.score - this.#scoreAtBranch, digits)} since then` : "");
    show(byId("dream-ended"), Boolean(header.dream?.ended));
    const apart = header.divergence;
    setText(byId("apart"), apart ? `latent ${number(apart.latent, 2)} · pixels ${number(apart.pixels, 1)}` : "");
    this.driving.update(header);
    this.keycaps.update(header);
  }
}
