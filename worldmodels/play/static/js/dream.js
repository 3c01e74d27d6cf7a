// The dream: one large picture, and everything that can be done with it.

import { Sparkline } from "./chart.js";
import { Driving } from "./driving.js";
import { announce, byId, options, setText, show, showPaused } from "./elements.js";
import { Keycaps } from "./keycaps.js";
import { MixtureChart } from "./mixture-chart.js";
import { keepMoment } from "./moments.js";
import { buildPads } from "./pads.js";
import { Ambience, Painter } from "./painter.js";
import { Recording } from "./recording.js";
import { clock, keySign, points, signed, temperatureWords } from "./wording.js";

const WORDS_EVERY = 100; // ms between changes of numbers: faster cannot be read
const REWIND_SECONDS = 0.25; // of the dream, for a press
const REWIND_EVERY = 100; // ms, while it is held
const REWARD_SECONDS = 8; // in the line of rewards

export class DreamScreen {
  name = "dream";
  steers = true;
  picture = byId("picture-dream");

  #header = null;
  #wordsAt = 0;
  #rewinding = 0;
  #steered = false;
  #touchedTemperature = 0;
  #pictures = { since: 0, count: 0, rate: 0 };

  constructor(context) {
    const { hello, send, steering } = context;
    Object.assign(this, { hello, send, steering });
    this.ticksPerSecond = hello.steps_per_second / hello.action_repeat;
    this.painter = new Painter(this.picture.querySelector("canvas"));
    this.ambience = new Ambience(this.painter.slot);
    this.driving = new Driving(byId("driving-dream"), "", context);
    this.keycaps = new Keycaps(byId("keys-dream"), hello, steering);
    this.recording = new Recording(context);
    this.rewards = new Sparkline(byId("reward-line"), Math.round(REWARD_SECONDS * this.ticksPerSecond));
    this.mixture = new MixtureChart(byId("mixture"), hello.latents ?? { mean: [], std: [] });
    buildPads(byId("pads"), hello, steering);
    this.#wire();
  }

  commands = {
    pause: () => this.send({ type: "pause", on: !this.#header?.paused }),
    step: () => this.send({ type: "step" }),
    restart: () => this.send({ type: "restart", seed: null }),
    drive: () => this.driving.toggle(),
    moment: () => this.send({ type: "moment" }),
    record: () => this.recording.keep(),
    rewind: (on) => this.#rewind(on),
  };

  enter() {
    if (byId("predicts").open) this.#watch();
  }

  leave() {
    this.#rewind(false);
  }

  /** The engine begins anew and knows nothing of what was chosen here. */
  resend() {
    this.send({ type: "temperature", value: Number(byId("temperature").value) });
    this.driving.resend();
    this.#watch();
  }

  restore(code) {
    this.send({ type: "restore", code });
    this.#steered = true; // whoever follows a link is not a beginner
  }

  take() {
    this.#steered = true;
    show(byId("hint"), false);
    if (this.driving.who !== "controller") return;
    this.driving.choose("you");
    if (this.#header) this.steering.takeOver(this.#header.action);
  }

  event(message) {
    if (message.type === "moment") keepMoment(message.code);
    else if (message.type === "recording") this.recording.made(message);
    else if (message.type === "error") this.recording.failed();
  }

  show(header, [pixels]) {
    const before = this.#header;
    this.#header = header;
    this.painter.paint(pixels);
    this.ambience.feel(pixels);
    this.#countPictures();
    this.#noteReward(header, before);
    const now = performance.now();
    const turned = header.paused !== before?.paused || header.ended !== before?.ended || header.who !== before?.who;
    if (turned) this.#turn(header, before);
    if (turned || header.paused || now - this.#wordsAt >= WORDS_EVERY) {
      this.#wordsAt = now;
      this.#tell(header);
    }
  }

  #wire() {
    const { hello, commands } = this;
    for (const name of ["restart", "pause", "step"]) byId(name).addEventListener("click", commands[name]);
    byId("again").addEventListener("click", commands.restart);
    byId("copy-moment").addEventListener("click", commands.moment);
    const rewind = byId("rewind");
    rewind.addEventListener("pointerdown", () => this.#rewind(true));
    for (const end of ["pointerup", "pointerleave", "pointercancel"]) rewind.addEventListener(end, () => this.#rewind(false));
    rewind.addEventListener("click", (event) => event.detail === 0 && this.#back()); // by the keyboard
    const slider = byId("temperature");
    [slider.min, slider.max] = (hello.temperatures ?? [0.1, 2]).map(String);
    slider.addEventListener("input", () => {
      this.#touchedTemperature = performance.now();
      this.send({ type: "temperature", value: Number(slider.value) });
      this.#tellTemperature(Number(slider.value));
    });
    this.#showTemperature(hello.temperature);
    show(byId("predicts"), Boolean(hello.latents));
    if (hello.latents) options(byId("watch-dimension"), hello.latents.order.map((dimension) => [dimension, `z${dimension}`]));
    setText(byId("mixtures"), String(hello.mixtures ?? 5));
    for (const [id, type] of [["predicts", "toggle"], ["watch-dimension", "change"]]) byId(id).addEventListener(type, () => this.#watch());
    addEventListener("themechange", () => this.rewards.draw());
  }

  #watch() {
    this.send({ type: "watch", dimension: byId("predicts").open ? Number(byId("watch-dimension").value) : null });
  }

  #rewind(on) {
    clearInterval(this.#rewinding);
    this.#rewinding = on ? setInterval(() => this.#back(), REWIND_EVERY) : 0;
    if (on) this.#back();
  }

  #back() {
    this.send({ type: "rewind", ticks: Math.max(1, Math.round(REWIND_SECONDS * this.ticksPerSecond)) });
  }

  #noteReward(header, before) {
    if (!before || header.seed !== before.seed) this.rewards.clear();
    else if (header.tick < before.tick) this.rewards.back(before.tick - header.tick);
    else if (header.tick > before.tick) this.rewards.add(header.reward);
  }

  /** What a change of state means, for eyes and ears. */
  #turn(header, before) {
    show(byId("asleep"), false);
    show(byId("ended"), header.ended);
    show(byId("paused"), header.paused && !header.ended);
    showPaused(byId("pause"), header.paused);
    const { words } = this.hello;
    setText(byId("ended-score"), [points(header.score, words.digits), words.unit].filter(Boolean).join(" "));
    const score = `${words.score} ${points(header.score, words.digits)}`;
    if (header.ended && !before?.ended) announce(`${words.dream_over}. ${score}. Press R to dream again.`);
    else if (header.paused !== before?.paused && before) announce(header.paused ? `Paused. ${score}.` : "The dream goes on.");
  }

  #tell(header) {
    const { steps_per_second: rate, keys, words } = this.hello;
    setText(byId("score"), points(header.score, words.digits));
    setText(byId("reward"), signed(header.reward, 2));
    const end = Math.round(header.end * 100);
    setText(byId("end"), `${end} %`);
    byId("end-meter").setAttribute("aria-valuenow", String(end));
    byId("end-meter").style.setProperty("--share", header.end.toFixed(3));
    setText(byId("clock"), `${clock(header.step / rate)} · seed ${header.seed} · ${this.#pictures.rate} pictures/s`);
    this.driving.update(header);
    this.keycaps.update(header);
    if (performance.now() - this.#touchedTemperature > 600) this.#showTemperature(header.temperature);
    if (header.mixture) this.mixture.draw(header.mixture, header.temperature);
    const hint = !this.#steered && header.who === "you" && !header.paused && !header.ended;
    if (hint) {
      const fingers = document.documentElement.classList.contains("touched");
      setText(byId("hint"), fingers ? words.fingers : words.hint || `Hold ${keySign(keys[0].key)}: ${keys[0].label}`);
    }
    show(byId("hint"), hint);
  }

  #showTemperature(value) {
    const slider = byId("temperature");
    if (Number(slider.value) !== value) slider.value = String(value);
    this.#tellTemperature(value);
  }

  #tellTemperature(value) {
    setText(byId("temperature-value"), value.toFixed(2));
    setText(byId("temperature-words"), temperatureWords(value));
    byId("temperature").setAttribute("aria-valuetext", `${value.toFixed(2)}: ${temperatureWords(value)}`);
  }

  #countPictures() {
    const now = performance.now();
    const counted = this.#pictures;
    counted.count += 1;
    if (now - counted.since < 1000) return;
    if (now - counted.since < 3000) counted.rate = Math.round((counted.count * 1000) / (now - counted.since));
    counted.since = now;
    counted.count = 0;
  }
}
