// Actions and temperatures in whole hundredths, as in play/actions.py: what was done can be done again exactly.

/** The nearest number of hundredths; a half goes up. */
export const hundredths = (value) => Math.floor(value * 100 + 0.5);

/** The mean of some actions, in hundredths again; a half goes up. */
export function meanAction(actions) {
  const count = actions.length;
  return actions[0].map((_, i) => {
    const sum = actions.reduce((total, action) => total + action[i], 0);
    return Math.floor((2 * sum + count) / (2 * count));
  });
}

/** In the game's units. */
export const units = (action) => Float32Array.from(action, (number) => number / 100);

/** The smallest and the largest action of a game, in hundredths. */
export class ActionRange {
  constructor(low, high) {
    this.low = low;
    this.high = high;
  }

  get size() {
    return this.low.length;
  }

  /** Nothing done: zero, or the number next to it that the game allows. */
  get rest() {
    return this.nearest(this.low.map(() => 0));
  }

  /** Finite numbers in the game's units, clamped to its range. */
  nearest(values) {
    return Array.from(values, (value, i) => Math.min(Math.max(hundredths(value), this.low[i]), this.high[i]));
  }

  contains(action) {
    return action.every((number, i) => this.low[i] <= number && number <= this.high[i]);
  }
}
