// A moment of a dream as a text that fits in a link; the same text as play/moment.py writes, which describes it.

import { LONGEST } from "./dream.js";

const LONGEST_CODE = 60000; // characters
const LONGEST_HEADER = 2_000_000; // bytes: a temperature of its own for each tick needs half a megabyte
const NOT_A_MOMENT = "this link holds no moment of a dream; it may have been cut short when it was copied";

/** What is wrong, for the person who asked. */
export class Refusal extends Error {}

/** The moment after the last finished tick. */
export async function momentCode(dream) {
  const { model, actions, temperatures } = dream;
  const size = model.action_low.length;
  const runs = [];
  for (const value of temperatures) {
    if (runs.length && runs[runs.length - 1][1] === value) runs[runs.length - 1][0] += 1;
    else runs.push([1, value]);
  }
  const header = {
    version: 1,
    model: model.hash,
    starts: model.start_counts,
    seed: dream.seed,
    ticks: actions.length,
    actions: size,
    temperatures: runs,
  };
  const line = new TextEncoder().encode(JSON.stringify(header) + "\n");
  const plain = new Uint8Array(line.length + size * actions.length);
  plain.set(line);
  let at = line.length;
  for (let column = 0; column < size; column++) {
    let before = 0;
    for (const action of actions) {
      plain[at++] = action[column] - before; // modulo 256
      before = action[column];
    }
  }
  const code = asText(await through(new CompressionStream("deflate"), plain));
  if (code.length > LONGEST_CODE) {
    throw new Refusal(
      `after ${actions.length} ticks this dream is too long for a link; ` +
        "rewind it, or restart and share an earlier moment",
    );
  }
  return code;
}

/** What leads to a moment: {seed, actions, temperatures}. A Refusal when it is none, or one of another model. */
export async function readMoment(code, model, range) {
  let plain, header, split;
  try {
    if (code.length > LONGEST_CODE) throw new RangeError("too long");
    const most = LONGEST_HEADER + LONGEST * range.size;
    plain = await through(new DecompressionStream("deflate"), asBytes(code), most);
    split = plain.indexOf(10);
    header = JSON.parse(new TextDecoder().decode(plain.subarray(0, split)));
    check(header);
  } catch {
    throw new Refusal(NOT_A_MOMENT);
  }
  if (header.model !== model.hash || header.starts.join() !== model.start_counts.join()) {
    throw new Refusal(
      "this moment was dreamt by another model, or by the same one elsewhere; open it where it was made",
    );
  }
  const { ticks, actions: size } = header;
  const data = plain.subarray(split + 1);
  if (size !== range.size || data.length !== size * ticks) throw new Refusal(NOT_A_MOMENT);
  const temperatures = header.temperatures.flatMap(([count, value]) => Array(count).fill(value));
  const actions = Array.from({ length: ticks }, () => Array(size));
  for (let column = 0; column < size; column++) {
    let value = 0;
    for (let t = 0; t < ticks; t++) {
      value = ((value + data[column * ticks + t]) << 24) >> 24; // a signed byte
      actions[t][column] = value;
    }
  }
  if (!actions.every((action) => range.contains(action))) throw new Refusal(NOT_A_MOMENT);
  return { seed: header.seed, actions, temperatures };
}

/** Throws unless the header is one that momentCode could have written. */
function check({ version, model, starts, seed, ticks, actions, temperatures }) {
  const count = (number) => Number.isSafeInteger(number) && number >= 0;
  const run = ([ticks, value]) => count(ticks) && ticks <= LONGEST && count(value) && value >= 1 && value <= 1000;
  const held = temperatures.every(run) ? temperatures.reduce((sum, [ticks]) => sum + ticks, 0) : NaN;
  const whole = version === 1 && typeof model === "string" && Array.isArray(starts) && count(actions);
  if (!whole || !count(seed) || !count(ticks) || ticks > LONGEST || held !== ticks) throw new TypeError("no moment");
}

/** Bytes through a stream; more than `most` is an error. */
async function through(stream, bytes, most = Infinity) {
  const writer = stream.writable.getWriter();
  const written = writer.write(bytes).then(() => writer.close());
  const parts = [];
  let size = 0;
  const reader = stream.readable.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > most) throw new RangeError("too much");
      parts.push(value);
    }
    await written;
  } catch (error) {
    written.catch(() => {}); // it fails with the reading
    reader.cancel().catch(() => {});
    throw error;
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function asText(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function asBytes(code) {
  if (!/^[\w-]+$/.test(code)) throw new TypeError("no base64url");
  return Uint8Array.from(atob(code.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
}
