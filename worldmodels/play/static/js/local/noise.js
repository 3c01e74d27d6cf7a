// Random numbers of a dream as a function of its key and tick: worlds/noise.py, number for number.

const START = 0; // numbers of a dream's random streams, as in worlds/dream.py
const FIRST_LATENT = 1;
const TICKS = 2;

/** A 32-bit integer hash with good avalanche: C. Wellons' lowbias32. */
function mix(x) {
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** The key of a seed, any integer. */
export function key(seed) {
  const wide = BigInt.asUintN(64, BigInt(seed));
  return mix(mix(Number(wide & 0xffffffffn)) ^ Number(wide >> 32n));
}

/** The key of another, independent stream of the same dream. */
export const fork = (key, number) => mix(key ^ mix(number + 1));

/** `count` uniform numbers in the open interval (0, 1), each exact as a float32. */
export function uniform(key, tick, count) {
  return Float32Array.from({ length: count }, (_, i) => {
    const word = mix(mix(mix((tick * count + i) >>> 0) ^ key) + 0x9e3779b9);
    return ((word >>> 9) + 0.5) * 2 ** -23;
  });
}

const polynomial = (coefficients, at) => coefficients.reduceRight((value, each) => value * at + each, 0);

/** The normal quantile, M. J. Wichura's PPND7 with a relative error of 1e-7, as in memory/normal.py. */
export function normal(probability) {
  const q = probability - 0.5;
  if (Math.abs(q) <= 0.425) {
    const r = 0.180625 - q * q;
    const above = polynomial([3.3871327179, 50.434271938, 159.29113202, 59.10937472], r);
    return (q * above) / polynomial([1, 17.895169469, 78.757757664, 67.1875636], r);
  }
  const r = Math.sqrt(-Math.log(0.5 - Math.abs(q)));
  let value;
  if (r <= 5) {
    const above = polynomial([1.4234372777, 2.75681539, 1.3067284816, 0.17023821103], r - 1.6);
    value = above / polynomial([1, 0.7370016425, 0.12021132975], r - 1.6);
  } else {
    const above = polynomial([6.657905115, 3.081226386, 0.42868294337, 0.017337203997], r - 5);
    value = above / polynomial([1, 0.24197894225, 0.012258202635], r - 5);
  }
  return q < 0 ? -value : value;
}

/**
 * How a dream begins, as in worlds/dream.py: which of `count` starts, the standard normal numbers of its first latent,
 * and the key of its ticks.
 */
export function fallAsleep(seed, count, latentSize) {
  const own = key(seed);
  const [, where] = uniform(fork(own, START), 0, 2);
  const row = Math.min(Math.trunc(Math.fround(where * count)), count - 1);
  const first = Float32Array.from(uniform(fork(own, FIRST_LATENT), 0, latentSize), normal);
  return { row, first, ticks: fork(own, TICKS) };
}
