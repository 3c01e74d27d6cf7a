// C: one linear layer and tanh, as in controller/linear.py.

const SQUASH = {
  symmetric: (y) => y,
  unit: (y) => (y + 1) / 2,
  positive: (y) => Math.min(Math.max(y, 0), 1),
};

/** What C sees: "z", "zh" or "zch", in the order of these letters. */
function features(kind, { z, h, c }) {
  return [...z, ...(kind === "zch" ? c : []), ...(kind === "z" ? [] : h)];
}

/**
 * What a controller does in a state, in the game's units.
 * @param controller {features, kinds, bias, parameters}: the weights of an action after another, then the biases.
 */
export function act(controller, state) {
  const seen = features(controller.features, state);
  const { kinds, parameters } = controller;
  return kinds.map((kind, row) => {
    let sum = controller.bias ? parameters[kinds.length * seen.length + row] : 0;
    for (let i = 0; i < seen.length; i++) sum += parameters[row * seen.length + i] * seen[i];
    return SQUASH[kind](Math.tanh(sum));
  });
}
