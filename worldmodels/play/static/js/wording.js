// Numbers and states in words.

const MINUS = "\u2212";

/** A number with so many digits after the point and a real minus sign. */
export function number(value, digits = 0) {
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? MINUS + text : text;
}

export const signed = (value, digits = 0) => (value > 0 ? "+" : "") + number(value, digits);

/** A score, never wider than its place. */
export const points = (value, digits = 1) => number(value, Math.abs(value) < 999.95 ? digits : 0);

/** Seconds as 1:07.3 */
export function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(1).padStart(4, "0")}`;
}

/** What a temperature does to a dream. */
export function temperatureWords(value) {
  if (value <= 0.3) return "almost certain: always the likeliest thing";
  if (value < 0.95) return "surer than M is";
  if (value <= 1.05) return "as M learnt it";
  if (value < 1.5) return "stranger than M expects";
  return "anything may happen";
}

function score(of, { unit }) {
  const error = of.standard_error ? ` ± ${number(of.standard_error)}` : "";
  return [`${number(of.mean)}${error}`, unit].filter(Boolean).join(" ");
}

/** How a controller came to be, and what it earned, in the words of the game. */
export function driverWords(controller, words) {
  const parts = [`Evolved at τ ${controller.temperature.toFixed(2)}.`];
  const { dream_score: dream, actual_score: actual } = controller;
  const dreamt = dream && (dream.per_1000_steps != null ? `${number(dream.per_1000_steps)} per 1000 steps` : score(dream, words));
  if (dream && actual) parts.push(`${words.scored} ${dreamt} in its dream and ${score(actual, words)} in the actual game.`);
  else if (dream) parts.push(`${words.scored} ${dreamt} in its dream.`);
  else if (actual) parts.push(`${words.scored} ${score(actual, words)} in the actual game.`);
  return parts.join(" ");
}

const SIGNS = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", " ": "Space", Escape: "Esc", Enter: "Enter" };

/** A key as it is printed on a keyboard. */
export const keySign = (key) => SIGNS[key] ?? (key.length === 1 ? key.toUpperCase() : key);

/** Megabytes or kilobytes. */
export const bytes = (count) => (count >= 1e6 ? `${(count / 1e6).toFixed(1)} MB` : `${Math.ceil(count / 1e3)} kB`);
