// The dream screen: what a message does, and what a frame says. As in play/dream_screen.py.

import { hundredths, units } from "./actions.js";
import { Dream } from "./dream.js";
import { momentCode, readMoment, Refusal } from "./moment.js";
import { Wheel } from "./wheel.js";

const SECONDS = 60; // that can be looked back on
const FILM_RATE = 25; // pictures a second that are kept for a GIF, which counts in hundredths of a second

const ELSEWHERE = "this page has the dream only; `worldmodels play` shows the other screens";

export class DreamScreen {
  /**
   * @param model what model.json holds, with the starts
   * @param world see world.js
   * @param stopping asked while a long dream is dreamt again; a yes ends that
   */
  constructor(model, world, stopping = () => false) {
    this.model = model;
    this.world = world;
    this.stopping = stopping;
    this.wheel = new Wheel(model);
    this.paused = false;
    this.watched = null; // the latent dimension whose mixture goes with each frame
    this.frames = 0;
    this.stride = Math.ceil(model.hello.steps_per_second / FILM_RATE);
    this.dreamOn(new Dream(model, world, anySeed()));
  }

  get running() {
    return !this.paused && !this.dream.state.ended;
  }

  dreamOn(dream) {
    this.dream = dream;
    this.film = []; // {step, picture}, the last minute of this dream
    this.action = this.wheel.range.rest;
  }

  /** One step of the game. */
  async advance() {
    this.action = this.wheel.action(this.dream.state);
    await this.dream.advance(this.action, this.wheel.temperature);
  }

  /** What the message asks for; the answer is an event, a {film} or nothing. Throws a Refusal. */
  async handle(message) {
    const { wheel } = this;
    switch (message.type) {
      case "input": {
        const { id, action } = message;
        if (!Array.isArray(action) || action.length !== wheel.range.size || !action.every(Number.isFinite)) {
          throw new Refusal(`an input needs ${wheel.range.size} numbers`);
        }
        wheel.steer(id, action);
        return;
      }
      case "screen":
        if (message.name !== "dream") throw new Refusal(ELSEWHERE);
        return;
      case "drive":
        if (!["you", "controller"].includes(message.who)) throw new Refusal("who drives: you, or the controller");
        wheel.who = message.who;
        return;
      case "controller": {
        const chosen = wheel.controllers.find(({ name }) => name === message.name);
        if (!chosen) throw new Refusal(`there is no controller called ${message.name}`);
        wheel.controller = chosen;
        return;
      }
      case "temperature": {
        const [low, high] = this.model.hello.temperatures;
        if (!(low <= message.value && message.value <= high)) {
          throw new Refusal(`the temperature goes from ${low} to ${high}`);
        }
        wheel.temperature = hundredths(message.value);
        return;
      }
      case "pause":
        this.paused = Boolean(message.on);
        return;
      case "restart":
        this.dreamOn(new Dream(this.model, this.world, checkedSeed(message.seed ?? anySeed())));
        this.paused = false;
        return;
      case "step":
        return this.step();
      case "rewind":
        return this.rewind(Math.max(0, Math.trunc(Number(message.ticks) || 0)));
      case "watch":
        this.watched = this.checkedDimension(message.dimension ?? null);
        return;
      case "mixture":
        return this.mixture(this.checkedDimension(message.dimension));
      case "moment":
        return { type: "moment", code: await momentCode(this.dream) };
      case "restore":
        return this.restore(String(message.code));
      case "record":
        return this.recording(message);
      default:
        throw new Refusal(ELSEWHERE);
    }
  }

  /** The tick under way to its end, or one more tick; then stand still. */
  async step() {
    this.paused = true;
    const began = this.dream.state.tick;
    while (!this.dream.state.ended && this.dream.state.tick === began) await this.advance();
  }

  async rewind(ticks) {
    this.paused = true;
    await this.dream.rewind(ticks);
    this.film = this.film.filter(({ step }) => step <= this.dream.step);
  }

  async restore(code) {
    const { seed, actions, temperatures } = await readMoment(code, this.model, this.wheel.range);
    const dream = new Dream(this.model, this.world, seed);
    await dream.replay(actions, temperatures, this.stopping);
    this.dreamOn(dream);
    if (temperatures.length) this.wheel.temperature = temperatures.at(-1);
    this.paused = true;
  }

  /** What M predicts for a latent after the present action, and what this tick's random number draws. */
  async mixture(dimension) {
    const { state } = this.dream;
    const expected = state.ended ? state : await this.dream.expect(this.wheel.action(state), this.wheel.temperature);
    return { type: "mixture", ...this.mixtureOf(expected, dimension) };
  }

  mixtureOf(state, dimension) {
    const { logPi, mu, logSigma } = state.mixture;
    const { mixtures } = this.model.hello;
    const part = (numbers) => Array.from(numbers.subarray(dimension * mixtures, (dimension + 1) * mixtures));
    const logits = part(logPi);
    const weights = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
    const sum = weights.reduce((a, b) => a + b);
    return {
      dimension,
      pi: weights.map((weight) => weight / sum),
      mu: part(mu),
      sigma: part(logSigma).map(Math.exp),
      z: state.z[dimension],
    };
  }

  checkedDimension(dimension) {
    if (dimension === null) return null;
    if (!Number.isInteger(dimension) || dimension < 0 || dimension >= this.model.hello.latent_size) {
      throw new Refusal(`latent dimensions go from 0 to ${this.model.hello.latent_size - 1}`);
    }
    return dimension;
  }

  /** The last seconds of this dream as pictures; its present one where it has only begun. */
  async recording({ format, seconds }) {
    if (format !== "gif") throw new Refusal("this page records GIFs; worldmodels play records MP4 too");
    if (!(seconds >= 1)) throw new Refusal(`a recording has 1 to ${SECONDS} seconds`);
    const rate = this.model.hello.steps_per_second / this.stride;
    const pictures = this.film.slice(-Math.round(Math.min(seconds, SECONDS) * rate)).map(({ picture }) => picture.slice());
    if (!pictures.length) pictures.push(await this.world.paint(this.dream.shown));
    return { film: { pictures, rate } };
  }

  /** The present picture: {header, panes}. */
  async picture() {
    const { dream, wheel } = this;
    const { state } = dream;
    const picture = await this.world.paint(dream.shown);
    const header = {
      screen: "dream",
      n: ++this.frames,
      panes: ["dream"],
      input: wheel.input,
      tick: state.tick,
      step: dream.step,
      reward: state.reward,
      score: state.score,
      end: state.end,
      ended: state.ended,
      paused: this.paused,
      ...wheel.header,
      action: Array.from(units(this.action)),
      seed: dream.seed,
    };
    if (this.watched !== null && dream.towards.mixture) header.mixture = this.mixtureOf(dream.towards, this.watched);
    this.keep(dream.step, picture);
    return { header, panes: [picture] };
  }

  keep(step, picture) {
    if (step % this.stride || this.film[this.film.length - 1]?.step >= step) return;
    this.film.push({ step, picture: picture.slice() });
    const most = Math.ceil((SECONDS * this.model.hello.steps_per_second) / this.stride);
    if (this.film.length > most) this.film.shift();
  }
}

/** A new one, short enough to be told to somebody. */
const anySeed = () => Math.floor(Math.random() * 1_000_000);

function checkedSeed(seed) {
  if (!Number.isSafeInteger(seed) || seed < 0) throw new Refusal("a seed is a whole number, 0 or more");
  return seed;
}
