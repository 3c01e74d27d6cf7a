// The sentences in which one game differs from another, put in their places; they come with hello (play/words.py).

import { byId, setText, show } from "./elements.js";

const PLACES = {
  "same-hands": "same_hands",
  "one-controller": "one_controller",
  "gamepad-words": "gamepad",
  "score-label": "score",
  "end-label": "end",
  "dream-over": "dream_over",
  "dream-ended": "dream_over",
  "cheating-dream-ended": "dream_over",
};

export function sayInTheGamesWords({ words, pays }) {
  for (const [id, name] of Object.entries(PLACES)) setText(byId(id), words[name]);
  byId("end-meter").setAttribute("aria-label", words.end_at_length);
  show(byId("reward-box"), pays); // a line of ones would say nothing
  byId("end-box").classList.toggle("grow", !pays);
}

/** How an episode of the actual game has ended. */
export const gameOver = (words, { died }) => (died ? words.game_over : words.game_survived);
