// One dream, step by step: the ticks of M, with pictures in between, and the way back. As in play/dream.py.
//
// `world` is what dreams: tick(state, action, uniform, temperature) and paint(z), see world.js.

import { meanAction, units } from "./actions.js";
import { fallAsleep, uniform } from "./noise.js";

export const LONGEST = 36000; // ticks; a dream is over then
const SNAPSHOT_EVERY = 50; // ticks: the way back costs so many at most
const BREATH = 50; // milliseconds of dreaming again, after which messages are let in

export class Dream {
  /** @param model what model.json holds, with the starts as {mu, logvar, h, c}, arrays of Float32Arrays */
  constructor(model, world, seed) {
    this.model = model;
    this.world = world;
    this.seed = seed;
    this.repeat = model.hello.action_repeat;
    const { mu, logvar, h, c } = model.starts;
    const begin = fallAsleep(seed, mu.length, model.hello.latent_size);
    const { row, first } = begin;
    const z = mu[row].map((mean, i) => mean + Math.exp(0.5 * logvar[row][i]) * first[i]);
    this.key = begin.ticks;
    this.actions = []; // what was done in each finished tick, in hundredths
    this.temperatures = []; // likewise
    this.snapshots = [{ tick: 0, z, h: h[row], c: c[row], reward: 0, score: 0, end: 0, ended: false, mixture: null }];
    this.standAt(this.snapshots[0]);
  }

  /** Steps of the game since the dream began. */
  get step() {
    return this.state.tick * this.repeat + this.asked.length;
  }

  standAt(state) {
    this.state = state;
    this.shown = state.z; // the latent on the screen
    this.towards = state; // the state that the picture is on its way to
    this.asked = []; // at the steps of the tick under way
    this.expected = null; // where that leads, for what
    this.uniform = null;
  }

  /** One step of the game; a dream that has ended stands still. */
  async advance(asked, temperature) {
    if (this.state.ended) return;
    const steps = [...this.asked, asked];
    const rest = Array(this.repeat - steps.length).fill(asked);
    const action = meanAction([...steps, ...rest]);
    const after = await this.expect(action, temperature);
    if (rest.length === 0) {
      this.finish(action, temperature, after);
      return;
    }
    const { z } = this.state;
    const share = steps.length / this.repeat;
    this.asked = steps;
    this.towards = after;
    this.shown = z.map((from, i) => from + (after.z[i] - from) * share);
  }

  /** Where the tick under way leads under an action. */
  async expect(action, temperature) {
    const asked = `${action} ${temperature}`;
    if (this.expected?.asked === asked) return this.expected.state;
    const { state: now, model } = this;
    this.uniform ??= uniform(this.key, now.tick, model.hello.latent_size);
    const after = await this.world.tick(now, units(action), this.uniform, temperature / 100);
    const state = {
      tick: now.tick + 1,
      z: after.z,
      h: after.h,
      c: after.c,
      reward: after.reward,
      score: now.score + after.reward,
      end: 1 / (1 + model.hello.end_weight * Math.exp(-after.endLogit)),
      ended: after.endLogit > 0 || now.tick + 1 >= LONGEST, // a cut-off and not a draw
      mixture: after.mixture,
    };
    this.expected = { asked, state };
    return state;
  }

  finish(action, temperature, after) {
    this.actions.push(action);
    this.temperatures.push(temperature);
    this.standAt(after);
    if (after.tick % SNAPSHOT_EVERY === 0) this.snapshots.push(after);
  }

  /** Go back that many finished ticks, or to the beginning: as if they had never been. */
  async rewind(ticks) {
    const target = Math.max(0, this.state.tick - ticks);
    const actions = this.actions.slice(0, target);
    const temperatures = this.temperatures.slice(0, target);
    this.snapshots.length = Math.floor(target / SNAPSHOT_EVERY) + 1;
    const last = this.snapshots[this.snapshots.length - 1];
    this.actions.length = last.tick;
    this.temperatures.length = last.tick;
    this.standAt(last);
    await this.replay(actions.slice(last.tick), temperatures.slice(last.tick));
  }

  /** Do ticks as they were done. Ends early when `stopping` says so. */
  async replay(actions, temperatures, stopping = () => false) {
    let breathed = performance.now();
    for (const [i, action] of actions.entries()) {
      if (this.state.ended || stopping()) return;
      this.finish(action, temperatures[i], await this.expect(action, temperatures[i]));
      if (performance.now() - breathed > BREATH) {
        await new Promise((resolve) => setTimeout(resolve));
        breathed = performance.now();
      }
    }
  }
}
